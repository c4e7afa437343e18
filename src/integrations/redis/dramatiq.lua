-- KEYS: the queue's list, its messages, the messages of its delayed queue, its dead messages.
local waiting = redis.call('LLEN', KEYS[1])
local oldest = redis.call('LINDEX', KEYS[1], 0)
local message = oldest and decode(redis.call('HGET', KEYS[2], oldest)) or {}
local created, requeued = moment(message.message_timestamp), moment(part(message.options, 'requeue_timestamp'))
if created then ready_since(math.max(created, requeued or 0)) end
tell('depth', waiting)
-- A message that a worker has taken is in the hash alone.
tell('running', redis.call('HLEN', KEYS[2]) - waiting)
tell('scheduled', redis.call('HLEN', KEYS[3]))
tell('dead', redis.call('ZCARD', KEYS[4]))
