"""Translators between the clients' protocols and the Messages form.

The Messages form - the body of `POST /v1/messages` as plain dicts - is the one internal form. Each
client protocol is a pair of modules here: one makes a `Draft` from the request, one makes the
client's answer from the events of the model. `model_fit` turns a draft into the body for one model.
Everything is pure: no clock, no random, no I/O.
"""
