"""What a person sees and does on the chat page, by roles and labels."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect


class Chat:
    """One tab."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.box = page.get_by_role("textbox", name="Your message")
        self.turns = page.get_by_role("article")
        self.chats = page.get_by_role("navigation", name="Your chats")

    def send(self, text: str) -> None:
        self.box.fill(text)
        expect(self.button("Send")).to_be_enabled()  # the page's scripts are there
        self.box.press("Enter")

    def turn(self, number: int = -1) -> Turn:
        """A turn by its place; the last one without."""
        return Turn(self.turns.nth(number))

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def link(self, name: str) -> Locator:
        return self.page.get_by_role("link", name=name, exact=True)

    def another_tab(self) -> Chat:
        """The same person, at the same address."""
        page = self.page.context.new_page()
        page.goto(self.page.url)
        return Chat(page)

    def has_turns(self, number: int) -> None:
        expect(self.turns).to_have_count(number)

    def sign_up(self, name: str, password: str) -> None:
        self.page.goto("/signup")
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.page.get_by_label("Password confirmation").fill(password)
        self.button("Sign up").click()

    def log_in(self, name: str, password: str) -> None:
        self.page.goto("/login")
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.button("Log in").click()


class Turn:
    """A prompt, its reply and its stage."""

    def __init__(self, article: Locator) -> None:
        self.article = article
        self.prompt = article.locator(".bubble")
        self.reply = article.locator(".reply")
        self.stage = article.locator(".stage")

    def button(self, name: str) -> Locator:
        return self.article.get_by_role("button", name=name, exact=True)

    def is_at(self, words: str) -> None:
        expect(self.stage).to_contain_text(words)

    def says(self, text: str) -> None:
        expect(self.reply).to_have_text(text)

    def has_begun(self) -> None:
        expect(self.reply).not_to_be_empty()
