-- Returns how many leases of a video are held. A: video.
return active_leases(A.video)
