-- Leases the first task of the first queue that has one. Idempotent: the same token gets the same lease.
-- A: queues, token, worker, lease_ms. Returns JSON: {lease = {...}} or {due = milliseconds until a retry, or -1}.
local function encode_lease(job, id, token)
  local task = read_hash(task_key(job, id))
  task.token = token
  return cjson.encode({lease = task})
end

local function is_withdrawn(task)
  if task.kind ~= 'segment' then return false end
  local key = requests_key(task.film, task.rendition, task.index)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', int(NOW))
  return redis.call('ZCARD', key) == 0
end

local function lease(job, id, task)
  local key = task_key(job, id)
  set_state(key, 'running')
  redis.call('HINCRBY', key, 'attempts', 1)
  redis.call('HSET', key, 'token', A.token, 'worker', A.worker, 'claimed', int(NOW), 'progress', '0')
  redis.call('ZADD', P .. 'leases', int(NOW + A.lease_ms), job .. '|' .. id .. '|' .. A.token)
  if redis.call('HGET', job_key(job), 'state') == 'queued' then
    set_state(job_key(job), 'running')
    redis.call('HSETNX', job_key(job), 'started', int(NOW))
  end
end

for _, member in ipairs(redis.call('ZRANGE', P .. 'leases', 0, -1)) do
  local job, id, token = split(member)
  if token == A.token then
    if lease_status({job = job, task = id, token = token}) == 'running' then return encode_lease(job, id, token) end
    redis.call('ZREM', P .. 'leases', member) -- cancelled or forgotten before the reply arrived
  end
end

for _, member in ipairs(redis.call('ZRANGEBYSCORE', P .. 'delayed', '-inf', int(NOW), 'LIMIT', 0, 100)) do
  redis.call('ZREM', P .. 'delayed', member)
  local job, id = split(member)
  if redis.call('EXISTS', task_key(job, id)) == 1 then push_to_queue(job, id) end
end

for _, queue in ipairs(A.queues) do
  local popped = redis.call('ZPOPMIN', queue_key(queue))
  while #popped > 0 do
    local job, id = split(popped[1])
    local task = read_hash(task_key(job, id))
    if task.id and is_withdrawn(task) then
      delete_task(job, id)
    elseif task.id then
      lease(job, id, task)
      return encode_lease(job, id, A.token)
    end
    popped = redis.call('ZPOPMIN', queue_key(queue))
  end
end

local first = redis.call('ZRANGE', P .. 'delayed', 0, 0, 'WITHSCORES')
return cjson.encode({due = first[2] and math.max(0, first[2] - NOW) or -1})
