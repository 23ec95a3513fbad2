-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0

local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["crm.kaeru.dev/requestedAt"] = os.date("!%Y-%m-%dT%XZ")
return obj
