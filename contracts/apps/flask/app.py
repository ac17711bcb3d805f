"""A Flask application: a session in a signed cookie, redirects, an upload, streams, ranges and entity tags."""

import hashlib

from flask import Flask, Response, make_response, redirect, request, send_file, session, stream_with_context, url_for

app = Flask(__name__, static_folder=None)
# The key signs the sessions of a test and nothing else.
app.config.update(SECRET_KEY="a key for tests", SESSION_COOKIE_NAME="flask_session", MAX_CONTENT_LENGTH=1 << 20)


@app.get("/")
def start():
    return f"<h1>Grüße</h1>\n<p>{session.get('name', 'a visitor')}</p>\n"


@app.post("/sign-in")
def sign_in():
    session["name"] = request.form["name"]
    answer = redirect(url_for("start", greeted=1), 303)
    answer.set_cookie("theme", "dark blue", path="/", samesite="Lax")
    answer.set_cookie("seen", "1", httponly=True)
    return answer


@app.post("/sign-out")
def sign_out():
    answer = redirect(url_for("start"), 302)
    answer.delete_cookie("theme")
    return answer


@app.post("/upload")
def upload():
    files = [
        {"field": field, "name": file.filename, "type": file.mimetype, "sha256": hashlib.sha256(file.read()).hexdigest()}
        for field, file in request.files.items(multi=True)
    ]
    return {"files": files, "fields": request.form.to_dict(flat=False)}, 201


@app.route("/echo", methods=["POST", "PUT", "PATCH"])
def echo():
    return Response(request.get_data(), content_type=request.content_type)


@app.get("/lines")
def lines():
    return Response((f"line {number}\n" for number in range(1000)), mimetype="text/plain")


@app.get("/events")
def events():
    def each():
        for number in range(5):
            yield f"id: {number}\nevent: tick\ndata: {number}\n\n"

    return Response(stream_with_context(each()), mimetype="text/event-stream", headers={"Cache-Control": "no-cache"})


@app.get("/tagged")
def tagged():
    answer = make_response({"price": 1.0, "word": "é"})
    answer.add_etag()
    return answer.make_conditional(request)


@app.get("/file")
def file():
    return send_file(__file__, mimetype="text/x-python", conditional=True, etag="fixed", last_modified=1_700_000_000)


@app.get("/path/<path:rest>")
def path(rest):
    return {"rest": rest, "raw": request.environ.get("RAW_URI", ""), "arguments": request.args.to_dict(flat=False)}


@app.get("/several")
def several():
    answer = Response("twice", content_type="text/plain")
    answer.headers.add("X-Several", "one")
    answer.headers.add("X-Several", "two")
    answer.headers.add("Link", "</a>; rel=next")
    answer.headers.add("Link", "</b>; rel=prev")
    return answer


@app.get("/nothing")
def nothing():
    return "", 204
