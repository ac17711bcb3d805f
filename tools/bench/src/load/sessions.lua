-- Every request is the next session's. Arguments: a file of tokens, one a line; the number of the first; the path; the cookie.
local requests, index = {}, 0

function init(arguments)
  local head = "GET " .. arguments[3] .. " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\n" ..
    "Cookie: theme=dark; " .. arguments[4] .. "="
  for token in io.lines(arguments[1]) do
    requests[#requests + 1] = head .. token .. "\r\n\r\n"
  end
  index = tonumber(arguments[2]) % #requests
end

function request()
  index = index % #requests + 1
  return requests[index]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"microseconds":%d,"p95_us":%d,"p99_us":%d,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration, latency:percentile(95), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout
  ))
end
