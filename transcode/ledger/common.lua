-- In front of every script: names of keys, the clock, and the pieces that several moves share.
-- KEYS[1] is the prefix, ARGV[1] the arguments as JSON. The legend of the keys is in scripts.py.
local P = KEYS[1]
local A = cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local NOW = clock[1] * 1000 + math.floor(clock[2] / 1000)
local BAND = 1e12 -- ranks: priority * BAND + order

local function int(number) return string.format('%.0f', number) end
local function job_key(job) return P .. 'job:' .. job end
local function tasks_key(job) return P .. 'tasks:' .. job end
local function task_key(job, task) return P .. 'task:' .. job .. ':' .. task end
local function queue_key(lane) return P .. 'queue:' .. lane end
local function live_job(film) return film .. '.live' end
local function want_key(film, rendition, number) return P .. 'want:' .. film .. ':' .. rendition .. ':' .. number end

local function split(member)
  local job, task, token = string.match(member, '^([^|]*)|([^|]*)|?(.*)$')
  return job, task, token
end

local function alive(state) return state == 'queued' or state == 'retrying' or state == 'running' end

local function hash(key)
  local flat, fields = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

local function move(key, state)
  local from = redis.call('HGET', key, 'state')
  if not from or not MOVES[from][state] then
    error('no move from ' .. tostring(from) .. ' to ' .. state .. ': ' .. key)
  end
  redis.call('HSET', key, 'state', state)
end

-- Once per script: a film of a day enqueues 2,700 tasks at once, and whoever listens looks for all of them.
local woken = {}
local function wake(what)
  if woken[what] then return end
  woken[what] = true
  redis.call('PUBLISH', P .. 'wake', what)
end
local function film_changed(film) redis.call('PUBLISH', P .. 'film', film) end

local function put_in_queue(job, task)
  local lane, rank = unpack(redis.call('HMGET', task_key(job, task), 'lane', 'rank'))
  redis.call('ZADD', queue_key(lane), rank, job .. '|' .. task)
  wake(lane)
end

local function take_from_queue(job, task)
  local lane = redis.call('HGET', task_key(job, task), 'lane')
  if lane then redis.call('ZREM', queue_key(lane), job .. '|' .. task) end
  redis.call('ZREM', P .. 'delayed', job .. '|' .. task)
end

-- Repeatable: a task that exists, in whatever state, is left alone.
local function enqueue(job, film, spec)
  local key = task_key(job, spec.id)
  if redis.call('EXISTS', key) == 1 then return 0 end
  local rank = redis.call('HGET', job_key(job), 'rank:' .. spec.id)
    or int(spec.priority * BAND + redis.call('INCR', P .. 'order'))
  redis.call('HSET', key, 'job', job, 'film', film, 'id', spec.id, 'kind', spec.kind, 'index', int(spec.index),
    'rendition', spec.rendition, 'lane', spec.lane, 'rank', rank, 'weight', spec.weight, 'limit', int(spec.limit),
    'optional', spec.optional and '1' or '0', 'state', 'queued', 'attempts', '0', 'progress', '0', 'parts', '0',
    'token', '', 'created', int(NOW))
  redis.call('SADD', tasks_key(job), spec.id)
  if spec.kind ~= 'segment' then redis.call('HINCRBY', job_key(job), 'open', 1) end
  put_in_queue(job, spec.id)
  return 1
end

local function enqueue_all(job, film, specs)
  local added = 0
  for _, spec in ipairs(specs or {}) do added = added + enqueue(job, film, spec) end
  return added
end

local function drop_lease(lease)
  redis.call('ZREM', P .. 'leases', lease.job .. '|' .. lease.task .. '|' .. lease.token)
end

-- 'running' when the lease in A is in force; else what became of it: the state in which this same lease left
-- the task ('cancelled', or the outcome of an earlier send of the same script), or 'lost'.
local function standing(lease)
  local state, token = unpack(redis.call('HMGET', task_key(lease.job, lease.task), 'state', 'token'))
  if not state or token ~= lease.token then return 'lost' end
  return state
end

local function end_job(job, state)
  move(job_key(job), state)
  redis.call('HSET', job_key(job), 'ended', int(NOW))
  redis.call('ZADD', P .. 'ended', int(NOW), job)
  film_changed(redis.call('HGET', job_key(job), 'film'))
end

-- A running one keeps its lease until its worker has stopped and lets go.
local function cancel_task(job, task)
  local key = task_key(job, task)
  local state = redis.call('HGET', key, 'state')
  if not state or not alive(state) then return end
  take_from_queue(job, task)
  move(key, 'cancelled')
  redis.call('HSET', key, 'ended', int(NOW))
  if state == 'running' then wake('cancel') end
end

local function cancel_tasks(job)
  for _, task in ipairs(redis.call('SMEMBERS', tasks_key(job))) do cancel_task(job, task) end
end

-- With nothing open the closing tasks come, one after another, and after them the end.
local function close_if_done(job)
  local film, state, open, last = unpack(redis.call('HMGET', job_key(job), 'film', 'state', 'open', 'last'))
  if not state or not alive(state) or tonumber(open) > 0 then return end
  local closing = cjson.decode(last)
  if closing.id then closing = {closing} end -- a job of an older version, which had one
  for _, spec in ipairs(closing) do
    if enqueue(job, film, spec) == 1 then return end
  end
  end_job(job, 'succeeded')
end

local function close_task(job, weight)
  redis.call('HINCRBY', job_key(job), 'open', -1)
  redis.call('HINCRBYFLOAT', job_key(job), 'done', weight)
  close_if_done(job)
end

local function segment_over(task, ok, keep_ms)
  local key = task_key(task.job, task.id)
  redis.call('SREM', tasks_key(task.job), task.id)
  redis.call('DEL', want_key(task.film, task.rendition, task.index))
  redis.call('PEXPIRE', key, keep_ms)
  redis.call('PUBLISH', P .. 'segment', cjson.encode({
    film = tonumber(task.film), rendition = task.rendition, number = tonumber(task.index), ok = ok,
    error = task.error or '',
  }))
end

local function die(task, keep_ms)
  local key = task_key(task.job, task.id)
  move(key, 'dead')
  redis.call('HSET', key, 'ended', int(NOW))
  if task.kind == 'segment' then
    segment_over(task, false, keep_ms)
  elseif task.optional == '1' then
    close_task(task.job, task.weight)
  else
    redis.call('HSET', job_key(task.job), 'error', task.error or '', 'failed_task', task.id)
    end_job(task.job, 'dead')
    cancel_tasks(task.job)
  end
end

local function try_again(job, id, delay_ms)
  local key = task_key(job, id)
  move(key, 'retrying')
  redis.call('HSET', key, 'progress', '0', 'due', int(NOW + delay_ms))
  redis.call('ZADD', P .. 'delayed', int(NOW + delay_ms), job .. '|' .. id)
  wake('retry')
end

-- Another attempt after delay_ms, or the end when none is left. Returns the new state.
local function fail(job, id, hopeless, delay_ms, keep_ms)
  local key = task_key(job, id)
  local task = hash(key)
  if hopeless or tonumber(task.attempts) >= tonumber(task.limit) then
    die(task, keep_ms)
    return 'dead'
  end
  try_again(job, id, delay_ms)
  return 'retrying'
end

local function delete_task(job, task)
  take_from_queue(job, task)
  redis.call('DEL', task_key(job, task))
  redis.call('SREM', tasks_key(job), task)
end

local function delete_job(job)
  for _, task in ipairs(redis.call('SMEMBERS', tasks_key(job))) do delete_task(job, task) end
  local film = redis.call('HGET', job_key(job), 'film')
  if film and redis.call('GET', P .. 'film:' .. film) == job then
    redis.call('DEL', P .. 'film:' .. film)
    redis.call('ZREM', P .. 'films', film)
  end
  redis.call('DEL', job_key(job), tasks_key(job))
  redis.call('ZREM', P .. 'ended', job)
end

-- Leases of one film that are not let go yet, also those of cancelled tasks.
local function held(film)
  local count = 0
  for _, member in ipairs(redis.call('ZRANGE', P .. 'leases', 0, -1)) do
    if string.match(member, '^([^.|]*)%.') == film then count = count + 1 end
  end
  return count
end
