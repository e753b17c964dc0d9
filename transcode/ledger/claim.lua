-- The first task of the first lane that has one, with a lease. Repeatable: the same token gets the same lease.
-- A: lanes, token, worker, lease_ms. Returns JSON: {lease = {...}} or {due = milliseconds until a retry, or -1}.
local function describe(job, id, token)
  local task = hash(task_key(job, id))
  task.token = token
  return cjson.encode({lease = task})
end

local function unwanted(task)
  if task.kind ~= 'segment' then return false end
  local key = want_key(task.film, task.rendition, task.index)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', int(NOW))
  return redis.call('ZCARD', key) == 0
end

local function lease(job, id, task)
  local key = task_key(job, id)
  move(key, 'running')
  redis.call('HINCRBY', key, 'attempts', 1)
  redis.call('HSET', key, 'token', A.token, 'worker', A.worker, 'claimed', int(NOW), 'progress', '0')
  redis.call('ZADD', P .. 'leases', int(NOW + A.lease_ms), job .. '|' .. id .. '|' .. A.token)
  if redis.call('HGET', job_key(job), 'state') == 'queued' then
    move(job_key(job), 'running')
    redis.call('HSETNX', job_key(job), 'started', int(NOW))
  end
end

for _, member in ipairs(redis.call('ZRANGE', P .. 'leases', 0, -1)) do
  local job, id, token = split(member)
  if token == A.token then
    if standing({job = job, task = id, token = token}) == 'running' then return describe(job, id, token) end
    redis.call('ZREM', P .. 'leases', member) -- cancelled or forgotten before the answer came through
  end
end

for _, member in ipairs(redis.call('ZRANGEBYSCORE', P .. 'delayed', '-inf', int(NOW), 'LIMIT', 0, 100)) do
  redis.call('ZREM', P .. 'delayed', member)
  local job, id = split(member)
  if redis.call('EXISTS', task_key(job, id)) == 1 then put_in_queue(job, id) end
end

for _, lane in ipairs(A.lanes) do
  local popped = redis.call('ZPOPMIN', queue_key(lane))
  while #popped > 0 do
    local job, id = split(popped[1])
    local task = hash(task_key(job, id))
    if task.id and unwanted(task) then
      delete_task(job, id)
    elseif task.id then
      lease(job, id, task)
      return describe(job, id, A.token)
    end
    popped = redis.call('ZPOPMIN', queue_key(lane))
  end
end

local first = redis.call('ZRANGE', P .. 'delayed', 0, 0, 'WITHSCORES')
return cjson.encode({due = first[2] and math.max(0, first[2] - NOW) or -1})
