# The watcher for x86-64 and aarch64. Build on the device, or for it: docker build --platform linux/arm64 .
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /opt/watcher \
 && /opt/watcher/bin/pip install --require-hashes --requirement requirements.lock \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes --requirement requirements-build.lock
COPY pyproject.toml README.md LICENSE config.toml ./
COPY migrations migrations
COPY watcher watcher
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && /opt/watcher/bin/pip install --no-deps dist/*.whl \
 && /opt/watcher/bin/python -m compileall -q /opt/watcher/lib

FROM ${PYTHON_IMAGE}
# A user of its own; what it may do with Docker it gets through the socket's group, see compose.yaml.
RUN useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin watcher \
 && install --directory --owner watcher --group watcher /data /config
COPY --from=build /opt/watcher /opt/watcher
ENV PATH=/opt/watcher/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    WATCHER_STORE__DATA_DIR=/data WATCHER_DEVICE__ROOT=/device
USER watcher
# ./config.toml is where the program looks first; without one it watches with its defaults and tries nothing.
WORKDIR /config
VOLUME /data
HEALTHCHECK --interval=1m --timeout=10s --start-period=2m --retries=3 CMD ["watcher", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["watcher"]
CMD ["run"]
