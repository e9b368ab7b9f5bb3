# The gateway with the embedded model on a CPU. From the top of the repository:
#   docker build -f deploy/docker/cpu.Dockerfile -t ucbd-gateway:cpu .
FROM python:3.11.13-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/ucbd
COPY requirements/build.txt requirements/cpu-torch.txt requirements/cpu.txt requirements/
# The lists are complete, so nothing comes that is not pinned; torch is the CPU's.
RUN /opt/ucbd/bin/pip install --no-cache-dir --no-deps -r requirements/build.txt \
    && /opt/ucbd/bin/pip install --no-cache-dir --no-deps \
        --extra-index-url https://download.pytorch.org/whl/cpu -r requirements/cpu-torch.txt \
    && /opt/ucbd/bin/pip install --no-cache-dir --no-deps -r requirements/cpu.txt
COPY pyproject.toml setup.py README.md LICENSE ./
COPY app app
COPY cascade cascade
COPY models models
RUN /opt/ucbd/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11.13-slim-bookworm
RUN useradd --system --uid 10001 --create-home ucbd
COPY --from=build /opt/ucbd /opt/ucbd
USER 10001
WORKDIR /home/ucbd
ENV PATH=/opt/ucbd/bin:$PATH UCBD_HOST=0.0.0.0 UCBD_LOG_FORMAT=json
EXPOSE 8000
# Ready is an engine that produces tokens; the first start takes a minute or more.
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["ucbd", "serve"]
