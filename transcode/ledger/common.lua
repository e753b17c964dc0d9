-- Prepended to every script: names of keys, the clock, and what several scripts share.
-- KEYS[1] is the prefix of all keys, ARGV[1] the arguments as JSON. scripts.py lists the keys.
local P = KEYS[1]
local A = cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local NOW = clock[1] * 1000 + math.floor(clock[2] / 1000)
local BAND = 1e12 -- rank = priority * BAND + order

local function int(number) return string.format('%.0f', number) end
local function video_key(video) return P .. 'film:' .. video end
local function job_key(job) return P .. 'job:' .. job end
local function tasks_key(job) return P .. 'tasks:' .. job end
local function task_key(job, task) return P .. 'task:' .. job .. ':' .. task end
local function queue_key(queue) return P .. 'queue:' .. queue end
local function on_demand_job(video) return video .. '.live' end
local function requests_key(video, rendition, number) return P .. 'want:' .. video .. ':' .. rendition .. ':' .. number end

local function split(member)
  local job, task, token = string.match(member, '^([^|]*)|([^|]*)|?(.*)$')
  return job, task, token
end

local function is_live(state) return state == 'queued' or state == 'retrying' or state == 'running' end

local function read_hash(key)
  local flat, fields = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

local function set_state(key, state)
  local from = redis.call('HGET', key, 'state')
  if not from or not TRANSITIONS[from][state] then
    error('no transition from ' .. tostring(from) .. ' to ' .. state .. ': ' .. key)
  end
  redis.call('HSET', key, 'state', state)
end

-- Once per script: a video of 24 hours enqueues 2,700 tasks at once, and every message makes all workers look for work.
local woken = {}
local function wake(topic)
  if woken[topic] then return end
  woken[topic] = true
  redis.call('PUBLISH', P .. 'wake', topic)
end
local function publish_video_changed(video) redis.call('PUBLISH', P .. 'film', video) end

local function push_to_queue(job, task)
  local queue, rank = unpack(redis.call('HMGET', task_key(job, task), 'lane', 'rank'))
  redis.call('ZADD', queue_key(queue), rank, job .. '|' .. task)
  wake(queue)
end

local function remove_from_queue(job, task)
  local queue = redis.call('HGET', task_key(job, task), 'lane')
  if queue then redis.call('ZREM', queue_key(queue), job .. '|' .. task) end
  redis.call('ZREM', P .. 'delayed', job .. '|' .. task)
end

-- Idempotent: a task that exists, in whatever state, is left alone.
local function enqueue(job, video, spec)
  local key = task_key(job, spec.id)
  if redis.call('EXISTS', key) == 1 then return 0 end
  local rank = redis.call('HGET', job_key(job), 'rank:' .. spec.id)
    or int(spec.priority * BAND + redis.call('INCR', P .. 'order'))
  redis.call('HSET', key, 'job', job, 'film', video, 'id', spec.id, 'kind', spec.kind, 'index', int(spec.index),
    'rendition', spec.rendition, 'lane', spec.lane, 'rank', rank, 'weight', spec.weight, 'limit', int(spec.limit),
    'optional', spec.optional and '1' or '0', 'state', 'queued', 'attempts', '0', 'progress', '0', 'parts', '0',
    'token', '', 'created', int(NOW))
  redis.call('SADD', tasks_key(job), spec.id)
  if spec.kind ~= 'segment' then redis.call('HINCRBY', job_key(job), 'open', 1) end
  push_to_queue(job, spec.id)
  return 1
end

local function enqueue_all(job, video, specs)
  local added = 0
  for _, spec in ipairs(specs or {}) do added = added + enqueue(job, video, spec) end
  return added
end

local function drop_lease(lease)
  redis.call('ZREM', P .. 'leases', lease.job .. '|' .. lease.task .. '|' .. lease.token)
end

-- 'running' if the lease is in force. Else the state in which this same lease left the task ('cancelled', or the
-- outcome of an earlier call of the same script), or 'lost'.
local function lease_status(lease)
  local state, token = unpack(redis.call('HMGET', task_key(lease.job, lease.task), 'state', 'token'))
  if not state or token ~= lease.token then return 'lost' end
  return state
end

local function end_job(job, state)
  set_state(job_key(job), state)
  redis.call('HSET', job_key(job), 'ended', int(NOW))
  redis.call('ZADD', P .. 'ended', int(NOW), job)
  publish_video_changed(redis.call('HGET', job_key(job), 'film'))
end

-- A running task keeps its lease until its worker has stopped it and releases the lease.
local function cancel_task(job, task)
  local key = task_key(job, task)
  local state = redis.call('HGET', key, 'state')
  if not state or not is_live(state) then return end
  remove_from_queue(job, task)
  set_state(key, 'cancelled')
  redis.call('HSET', key, 'ended', int(NOW))
  if state == 'running' then wake('cancel') end
end

local function cancel_tasks(job)
  for _, task in ipairs(redis.call('SMEMBERS', tasks_key(job))) do cancel_task(job, task) end
end

-- When no task is open, the closing tasks run one after another, and then the job ends.
local function close_job_if_done(job)
  local video, state, open, last = unpack(redis.call('HMGET', job_key(job), 'film', 'state', 'open', 'last'))
  if not state or not is_live(state) or tonumber(open) > 0 then return end
  local closing = cjson.decode(last)
  if closing.id then closing = {closing} end -- a job of an older version, which had one closing task
  for _, spec in ipairs(closing) do
    if enqueue(job, video, spec) == 1 then return end
  end
  end_job(job, 'succeeded')
end

local function close_task(job, weight)
  redis.call('HINCRBY', job_key(job), 'open', -1)
  redis.call('HINCRBYFLOAT', job_key(job), 'done', weight)
  close_job_if_done(job)
end

local function end_segment(task, ok, keep_ms)
  local key = task_key(task.job, task.id)
  redis.call('SREM', tasks_key(task.job), task.id)
  redis.call('DEL', requests_key(task.film, task.rendition, task.index))
  redis.call('PEXPIRE', key, keep_ms)
  redis.call('PUBLISH', P .. 'segment', cjson.encode({
    film = tonumber(task.film), rendition = task.rendition, number = tonumber(task.index), ok = ok,
    error = task.error or '',
  }))
end

local function mark_dead(task, keep_ms)
  local key = task_key(task.job, task.id)
  set_state(key, 'dead')
  redis.call('HSET', key, 'ended', int(NOW))
  if task.kind == 'segment' then
    end_segment(task, false, keep_ms)
  elseif task.optional == '1' then
    close_task(task.job, task.weight)
  else
    redis.call('HSET', job_key(task.job), 'error', task.error or '', 'failed_task', task.id)
    end_job(task.job, 'dead')
    cancel_tasks(task.job)
  end
end

local function schedule_retry(job, id, delay_ms)
  local key = task_key(job, id)
  set_state(key, 'retrying')
  redis.call('HSET', key, 'progress', '0', 'due', int(NOW + delay_ms))
  redis.call('ZADD', P .. 'delayed', int(NOW + delay_ms), job .. '|' .. id)
  wake('retry')
end

-- Schedule another attempt after delay_ms, or mark the task dead if none is left. Returns the new state.
local function fail_task(job, id, permanent, delay_ms, keep_ms)
  local key = task_key(job, id)
  local task = read_hash(key)
  if permanent or tonumber(task.attempts) >= tonumber(task.limit) then
    mark_dead(task, keep_ms)
    return 'dead'
  end
  schedule_retry(job, id, delay_ms)
  return 'retrying'
end

local function delete_task(job, task)
  remove_from_queue(job, task)
  redis.call('DEL', task_key(job, task))
  redis.call('SREM', tasks_key(job), task)
end

local function delete_job(job)
  for _, task in ipairs(redis.call('SMEMBERS', tasks_key(job))) do delete_task(job, task) end
  local video = redis.call('HGET', job_key(job), 'film')
  if video and redis.call('GET', video_key(video)) == job then
    redis.call('DEL', video_key(video))
    redis.call('ZREM', P .. 'films', video)
  end
  redis.call('DEL', job_key(job), tasks_key(job))
  redis.call('ZREM', P .. 'ended', job)
end

-- The number of leases of a video that are held, including those of cancelled tasks.
local function active_leases(video)
  local count = 0
  for _, member in ipairs(redis.call('ZRANGE', P .. 'leases', 0, -1)) do
    if string.match(member, '^([^.|]*)%.') == video then count = count + 1 end
  end
  return count
end
