-- How many leases of a film are not let go yet. A: film.
return held(A.film)
