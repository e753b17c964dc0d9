-- Removes all that is known of a film's work; leases that are out turn void. Repeatable. A: film.
local job = redis.call('GET', P .. 'film:' .. A.film)
if job then delete_job(job) end
delete_job(live_job(A.film))
return 1
