"""The chat's addresses."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from chat import accounts, views

urlpatterns = [
    path("", views.new_chat, name="new-chat"),
    path("c/<uuid:pk>/", views.conversation, name="conversation"),
    path("start", accounts.start, name="start"),
    path("login", accounts.LoginView.as_view(), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("signup", accounts.signup, name="signup"),
    path("adopt", accounts.adopt, name="adopt"),
]
