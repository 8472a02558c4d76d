# One image for every process: the web server as it is, and with another word `qcluster`, `temporal_worker`, `migrate`.
# docs/running.md says how to build and run it. For builds that give the same image again, name the base by its digest:
# docker build --build-arg BASE=python:3.11-slim-bookworm@sha256:… .
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PATH=/opt/venv/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
RUN python3 -m venv /opt/venv

# What changes seldom comes first, so that its layers stay when only the code changes.
COPY requirements.txt ./
RUN pip install --require-hashes -r requirements.txt

# npm comes with Node from its own locked list, in an environment that stays behind.
COPY package.json package-lock.json requirements-node.txt ./
COPY platform/ops/assets.py platform/ops/
RUN python3 -m venv /opt/assets && /opt/assets/bin/python platform/ops/assets.py && rm -rf .cache

COPY . .
RUN pip install --no-build-isolation --no-deps --editable . && python -m compileall -q agents audit escalations platform
# Collecting reads production's settings, which want values: these are forgotten with the line.
RUN new='import secrets; print(secrets.token_urlsafe(32))' && \
    ENVIRONMENT=production BASE_URL=https://build.invalid ALLOWED_HOSTS=build.invalid EMAIL_URL=off \
    DATABASE_URL=postgresql://build@build.invalid/build SECRET_KEY=$(python -c "$new") \
    FIELD_KEYS=$(python -c "$new") AUDIT_SIGNING_KEYS=$(python -c "$new") \
    python manage.py collectstatic --no-input

FROM ${BASE}
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 ENVIRONMENT=production DATA_DIR=/data
RUN groupadd --gid 10001 countersign && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin countersign && \
    install --directory --owner=10001 --group=10001 --mode=0700 /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
USER 10001:10001
EXPOSE 8000
# Of the web server; production.yml turns it off for the others.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "platform/ops/answering.py"]
ENTRYPOINT ["python", "manage.py"]
CMD ["web", "--host", "0.0.0.0", "--port", "8000"]
