-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0

-- Ready says whether what is written in Git is accepted and armed, as kstatus reads it: first whether
-- the status is about this generation, then Reconciling, Stalled and Ready. How a run went is in other
-- conditions and makes no sync fail; what is suspended is Ready, and so Healthy: Suspended would hold
-- sync waves up.
local health = {status = "Progressing", message = "Waiting for Kaeru"}

if obj.status == nil or obj.status.conditions == nil then
  return health
end
if obj.metadata.generation ~= nil and obj.status.observedGeneration ~= obj.metadata.generation then
  health.message = "Waiting for Kaeru to see the change"
  return health
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end
local function holds(name)
  return conditions[name] ~= nil and conditions[name].status == "True"
end

if holds("Reconciling") then
  health.message = conditions["Reconciling"].message
elseif holds("Stalled") then
  health.status = "Degraded"
  health.message = conditions["Stalled"].message
elseif holds("Ready") then
  health.status = "Healthy"
  health.message = conditions["Ready"].message
elseif conditions["Ready"] ~= nil then
  health.message = conditions["Ready"].message
end
return health
