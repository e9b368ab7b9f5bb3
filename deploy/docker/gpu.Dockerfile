# The gateway with vLLM on a GPU. From the top of the repository:
#   docker build -f deploy/docker/gpu.Dockerfile -t ucbd-gateway:gpu .
FROM python:3.11.13-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/ucbd
COPY requirements/build.txt requirements/gpu.txt requirements/
# The lists are complete, so nothing comes that is not pinned, CUDA included.
RUN /opt/ucbd/bin/pip install --no-cache-dir --no-deps -r requirements/build.txt \
    && /opt/ucbd/bin/pip install --no-cache-dir --no-deps -r requirements/gpu.txt
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
# Run it with --gpus all, and name a model: `--model NAME_OR_PATH`.
ENTRYPOINT ["ucbd", "serve"]
