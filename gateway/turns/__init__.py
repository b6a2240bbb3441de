"""What was really sent and answered, so that it comes back in the same bytes.

Clients of OpenAI's protocols drop Claude's thinking. The models need it in tool loops, and newer
ones accept a thinking block only behind exactly the conversation it was made from. So each answer
is kept whole, sealed, for some days, and put back when the client returns without it.

`history` digests a request, `restore` decides what may be put back and does it, `capture` takes an
answer off the stream, `store` keeps the turns, `conversation` strings these together for a live
request. `responses` keeps the stored responses of OpenAI's Responses protocol.
"""
