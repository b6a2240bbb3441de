# One image, two commands: `coding-gateway api` (the default) and `coding-gateway worker`.
# PostgreSQL, Valkey and Temporal are services of their own, see docker-compose.yml. A platform that
# builds this file alone gets the schema too: the default command migrates first.

FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/gateway
WORKDIR /src
# The dependencies first: this layer changes with the lock file only.
COPY requirements/production.txt requirements/
RUN /opt/gateway/bin/pip install --only-binary :all: --require-hashes -r requirements/production.txt
COPY . .
RUN /opt/gateway/bin/pip install --no-deps --no-build-isolation .
# The API runs with -OO, whose code pip does not compile and the image's user could not keep.
RUN /opt/gateway/bin/python -m compileall -q -j 0 -o 2 /opt/gateway/lib || true

FROM python:3.11-slim
RUN useradd --system --uid 10001 --create-home --home-dir /home/gateway gateway \
    && install -d -o gateway -g gateway -m 0700 /data
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH PYTHONUNBUFFERED=1 DATA_DIR=/data PORT=8080
WORKDIR /home/gateway
USER 10001
# /data has the usage journal: mount a volume there, it holds what is not in PostgreSQL yet. Not
# declared with VOLUME, which hosts that have volumes of their own (Railway) refuse to build.
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=45s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health/live', timeout=2)"]
# A migration that fails (1) ends the container; a database that does not answer (75) keeps nobody
# from chatting.
CMD ["sh", "-c", "coding-gateway migrate || [ $? -eq 75 ] && exec coding-gateway api --port \"$PORT\""]
