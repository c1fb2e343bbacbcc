# `make check` is everything that CI checks; `make test` only the tests.

.PHONY: check lint test

check: lint test

lint:
	ruff check .
	ruff format --check .
	mypy .
	lint-imports
	python manage.py makemigrations --check --dry-run
	CHATSITE_URL=https://chat.example.com SECRET_KEY=$$(python -c "import secrets; print(secrets.token_urlsafe(64))") \
		python manage.py check --deploy --fail-level WARNING

test:
	pytest
