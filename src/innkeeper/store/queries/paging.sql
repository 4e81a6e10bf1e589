-- paging.any
-- Part of a list: any page.
LIMIT %(limit)s OFFSET %(offset)s

-- paging.first_10
-- Part of a list: the first page of usual length. Without parameters its plan is made once.
LIMIT 10

-- paging.first_100
-- Part of a list: the first page of full length.
LIMIT 100
