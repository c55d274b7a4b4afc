# Two stages: the first has tools and makes the environment, the second has only what runs.
# Pin the base by digest at release: `PYTHON_IMAGE=python@sha256:... make up`.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
# The locks first: they change less often than the code, and this layer is the slow one.
# `requirements-traces.txt` in its place has what sends traces too.
ARG EXCHANGE_LOCK=requirements.txt
COPY requirements.txt requirements-traces.txt requirements-build.txt ./
RUN python3 -m venv /opt/exchange \
    && /opt/exchange/bin/pip install --require-hashes -r ${EXCHANGE_LOCK} -r requirements-build.txt
COPY pyproject.toml README.md LICENSE ./
COPY exchange exchange
COPY policies policies
COPY migrations migrations
# Editable: the code reads policies/ and migrations/ beside itself. The tools that installed it stay behind.
RUN /opt/exchange/bin/pip install --no-deps --no-build-isolation -e . \
    && /opt/exchange/bin/pip uninstall -y -q setuptools pip \
    && /opt/exchange/bin/python -m compileall -q exchange

FROM ${PYTHON_IMAGE}
ARG EXCHANGE_VERSION=local
ARG EXCHANGE_REVISION=unknown
LABEL org.opencontainers.image.title="exchange" \
      org.opencontainers.image.description="Exchange of encrypted intelligence reports between states under signed agreements" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${EXCHANGE_VERSION}" \
      org.opencontainers.image.revision="${EXCHANGE_REVISION}"
ENV PATH=/opt/exchange/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 EXCHANGE_DIR=/data
# A secret file keeps its owner when it is mounted: `make up` builds with the number that owns it.
ARG EXCHANGE_UID=10001
RUN groupadd --system --gid 10001 exchange \
    && useradd --system --uid ${EXCHANGE_UID} --gid exchange --home-dir /data --no-create-home --shell /usr/sbin/nologin exchange \
    && install -d -o exchange -g exchange -m 0700 /data /edge /witness
COPY --from=build /opt/exchange /opt/exchange
COPY --from=build /app /app
WORKDIR /app
USER exchange
EXPOSE 8443
# The health of each service is asked in docker-compose.yml, for they are not alike. No shell is needed to start.
CMD ["exchange", "serve", "--host", "0.0.0.0", "--port", "8443", "--ops", "127.0.0.1:9443"]
