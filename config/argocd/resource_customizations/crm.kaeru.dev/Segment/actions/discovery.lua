-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0

local suspended = obj.spec.suspend == true
local actions = {}
actions["suspend"] = {["disabled"] = suspended}
actions["resume"] = {["disabled"] = not suspended}
actions["refresh"] = {["disabled"] = false}
return actions
