-- Goes round the paths of 1,000 routes, so that no cache of one route's data flatters the figure.
local requests = {}
local turn = 0

-- wrk has set Host by now.
function init()
  for number = 1, 1000 do
    requests[number] = wrk.format("GET", string.format("/service-%04d/orders/7", number))
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end
