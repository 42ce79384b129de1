# The controller's image: docker build -t autoslicer:0.1.0 .
FROM python:3.13-slim AS build
ENV UV_PROJECT_ENVIRONMENT=/opt/autoslicer UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1
RUN pip install --no-cache-dir uv
WORKDIR /src
# the dependencies change seldom and have a layer of their own
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --locked --no-dev --no-install-project
COPY autoslicer autoslicer
COPY solver solver
COPY simulations simulations
RUN uv sync --locked --no-dev --no-editable

FROM python:3.13-slim
COPY --from=build /opt/autoslicer /opt/autoslicer
ENV PATH=/opt/autoslicer/bin:$PATH PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["autoslicer"]
CMD ["--help"]
