-- wrk's script: POST /generate with questions of the embedded world, one after the other.
local questions = {
  "Which town is Alma Klurdsen from?", "What is the profession of Alma Klurdsen?",
  "Where does Gita Lauck come from?", "What is Alma Klurdsen's instrument?",
}
local turn = 0

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"

request = function()
  turn = turn + 1
  local question = questions[turn % #questions + 1]
  return wrk.format(nil, "/generate", nil, '{"prompt": "' .. question .. '", "samples": 0}')
end
