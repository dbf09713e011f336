-- SPDX-License-Identifier: Apache-2.0
-- wrk's script. Arguments: show PREFIX COUNT  |  path PATH  |  create FIRST LAST DESTINATION
-- Ids and vms of a thread follow one another in steps that visit all of them. Prints one line of JSON.
local number = 0

function setup(thread)
    thread:set("number", number)
    number = number + 1
end

function init(arguments)
    kind = arguments[1]
    if kind == "show" then
        prefix, count = arguments[2], tonumber(arguments[3])
        at = number * math.floor(count / 2)
    elseif kind == "path" then
        once = wrk.format("GET", arguments[2])
    else
        first, last, destination = tonumber(arguments[2]), tonumber(arguments[3]), arguments[4]
        at = first + number * math.floor((last - first + 1) / 2)
    end
end

function request()
    if kind == "path" then
        return once
    elseif kind == "show" then
        at = (at + 7919) % count
        return wrk.format("GET", string.format("%s%012x", prefix, at + 1))
    end
    local vm = at
    at = at + 1
    return wrk.format("POST", "/v1/migrations", {["Content-Type"] = "application/json"},
        string.format('{"vms":["0190a001-0000-7000-8000-%012x"],"destination":"%s"}', vm, destination))
end

function done(summary, latency, requests)
    local wrong = summary.errors.status + summary.errors.connect + summary.errors.read
        + summary.errors.write + summary.errors.timeout
    io.write(string.format('{"requests":%d,"us":%d,"p50_us":%d,"p99_us":%d,"wrong":%d,"bytes":%d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), wrong,
        summary.bytes))
end
