# `make check` is everything that CI checks; `make test` only the tests, `make test-distributed` the
# same tests on PostgreSQL and Redis.

.PHONY: check lint test test-distributed

check: lint test test-distributed

lint:
	ruff check .
	ruff format --check .
	mypy .
	lint-imports
	python manage.py makemigrations --check --dry-run
	CHATSITE_URL=https://chat.example.com SECRET_KEY=$$(python -c "import secrets; print(secrets.token_urlsafe(64))") \
		python manage.py check --deploy --fail-level WARNING

test:
	env -u DATABASE_URL -u REDIS_URL pytest

test-distributed:
	python -m tests.distributed
