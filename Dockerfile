# Two stages: the first has tools and makes the environment, the second has only what runs.
# Pin the base by digest at release: `docker build --build-arg PYTHON_IMAGE=python@sha256:...`.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
# The locks first: they change less often than the code, and this layer is the slow one.
COPY requirements.txt requirements-build.txt ./
RUN python3 -m venv /opt/exchange \
    && /opt/exchange/bin/pip install --require-hashes -r requirements.txt -r requirements-build.txt
COPY pyproject.toml README.md LICENSE ./
COPY exchange exchange
COPY policies policies
COPY migrations migrations
# Editable: the code reads policies/ and migrations/ beside itself. The tools that installed it stay behind.
RUN /opt/exchange/bin/pip install --no-deps --no-build-isolation -e . \
    && /opt/exchange/bin/pip uninstall -y -q setuptools pip \
    && /opt/exchange/bin/python -m compileall -q exchange

FROM ${PYTHON_IMAGE}
ENV PATH=/opt/exchange/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 EXCHANGE_DIR=/data
# A secret file keeps its owner when it is mounted: `make up` builds with the number that owns it.
ARG EXCHANGE_UID=10001
RUN groupadd --system --gid 10001 exchange \
    && useradd --system --uid ${EXCHANGE_UID} --gid exchange --home-dir /data --no-create-home --shell /usr/sbin/nologin exchange \
    && install -d -o exchange -g exchange -m 0700 /data
COPY --from=build /opt/exchange /opt/exchange
COPY --from=build /app /app
WORKDIR /app
USER exchange
VOLUME /data
EXPOSE 8443
# The operations address stays inside the container: only this check and what shares its network can ask it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9443/readyz', timeout=4)"]
# The first start makes keys, a demonstration CA and settings; `init` never overwrites, so that every later start skips it.
CMD ["/bin/sh", "-euc", "test -n \"$(ls -A /data)\" || exchange init ${EXCHANGE_HOST_NAMES:+$(printf -- '--host-name %s ' $EXCHANGE_HOST_NAMES)}; exchange migrate; exec exchange serve --host 0.0.0.0 --port 8443 --ops 127.0.0.1:9443"]
