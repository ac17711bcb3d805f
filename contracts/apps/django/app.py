"""A Django application in one file: sessions, the CSRF cookie and its form, redirects, an upload, a stream, entity tags."""

import hashlib

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import condition

settings.configure(
    # The key signs the sessions of a test and nothing else.
    SECRET_KEY="a key for tests",
    ALLOWED_HOSTS=["app.test"],
    ROOT_URLCONF=__name__,
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    SESSION_COOKIE_NAME="django_session",
    # A cookie without an end: its expiry would be another in each second.
    SESSION_EXPIRE_AT_BROWSER_CLOSE=True,
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.locale.LocaleMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    USE_I18N=True,
)


def form(request):
    name = request.session.get("name", "")
    return HttpResponse(
        f'<form method="post" action="/sign-in/"><input type="hidden" name="csrfmiddlewaretoken" value="{get_token(request)}">'
        f'<input name="name" value="{name}"></form>\n'
    )


def sign_in(request):
    if request.method != "POST":
        return HttpResponse(status=405, headers={"Allow": "POST"})
    request.session["name"] = request.POST.get("name", "")
    return HttpResponseRedirect("/?signed=in")


@csrf_exempt
def upload(request):
    files = {field: [file.name, file.content_type, hashlib.sha256(file.read()).hexdigest()] for field, file in request.FILES.items()}
    return JsonResponse({"files": files, "fields": dict(request.POST.lists())}, status=201)


@condition(etag_func=lambda request: '"version-1"')
def tagged(request):
    return JsonResponse({"price": 1.0, "word": "é"}, json_dumps_params={"ensure_ascii": False})


def stream(request):
    return StreamingHttpResponse((f"row {number}\n" for number in range(500)), content_type="text/csv")


def download(request):
    return FileResponse(open("upload.body", "rb"), as_attachment=True, filename="Über uns.txt")


def long(request):
    return HttpResponse("a sentence that repeats. " * 200, content_type="text/plain; charset=utf-8")


urlpatterns = [
    path("", form),
    path("sign-in/", sign_in),
    path("upload/", upload),
    path("tagged/", tagged),
    path("stream/", stream),
    path("download/", download),
    path("long/", long),
]
application = get_wsgi_application()
