# `make check` is everything that CI checks; `make test` only the tests, `make test-distributed` the
# same tests on PostgreSQL and Redis.

.PHONY: check lint test test-faults test-rest test-distributed distributed-faults distributed-rest

check: lint test test-distributed

lint:
	ruff check .
	ruff format --check .
	mypy .
	lint-imports
	python manage.py makemigrations --check --dry-run
	CHATSITE_URL=https://chat.example.com SECRET_KEY=$$(python -c "import secrets; print(secrets.token_urlsafe(64))") \
		python manage.py check --deploy --fail-level WARNING

# The faults mostly wait (for a heartbeat to be missed, a lease to end): beside the rest they cost
# little. `make -j4 check` runs all four side by side.
test: test-faults test-rest
test-distributed: distributed-faults distributed-rest

test-faults:
	env -u DATABASE_URL -u REDIS_URL pytest tests/faults

test-rest:
	env -u DATABASE_URL -u REDIS_URL pytest --ignore=tests/faults

distributed-faults:
	python -m tests.distributed tests/faults

distributed-rest:
	python -m tests.distributed --ignore=tests/faults
