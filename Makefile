# Everything runs in .venv, which is made and filled on first use.
PYTHON ?= python3
RUN := .venv/bin/python
WEIGHTS := weights/realesrgan-x4plus.npz
LPIPS := weights/lpips-alex.npz
NIQE := weights/niqe_pris_params.npz
TORCH_PYTHON ?= python3
JAX_PYTHON ?= python3

.PHONY: demo train-demo test test-slow lint bench bench-faces bench-data bench-meta bench-metrics bench-portable clean

demo: .venv/installed $(WEIGHTS) $(LPIPS) $(NIQE)  ## the main job on a real photo: faces, adaptation, x4, report
	$(RUN) scripts/demo.py

train-demo: .venv/installed $(LPIPS)  ## a small meta-training, and what one inner step is worth after it
	$(RUN) scripts/train_demo.py

test: .venv/installed $(WEIGHTS) $(LPIPS) $(NIQE)  ## the tests, under 12 minutes
	$(RUN) -m pytest -n 2 --dist loadfile

test-slow: .venv/installed $(WEIGHTS) $(LPIPS) $(NIQE)  ## the full-size checks too
	$(RUN) -m pytest -m "slow or not slow"

lint: .venv/installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

bench: .venv/installed $(WEIGHTS)  ## speed and memory, each beside its baseline
	$(RUN) benchmarks/inference.py --large

bench-faces: .venv/installed  ## the face networks beside PyTorch, which TORCH_PYTHON must have
	$(RUN) benchmarks/faces.py --torch_python $(TORCH_PYTHON)

bench-data: .venv/installed $(WEIGHTS)  ## training data beside NumPy, OpenCV and the published way of writing
	$(RUN) benchmarks/data.py

bench-meta: .venv/installed $(WEIGHTS) $(LPIPS)  ## the meta-step beside the published way
	$(RUN) benchmarks/meta_step.py

bench-portable: .venv/installed  ## both steps as StableHLO, run by JAX, which JAX_PYTHON must have
	$(RUN) benchmarks/portable_step.py --output results/portable --blocks 2 --width 16 --jax_python $(JAX_PYTHON)

bench-metrics: .venv/installed $(LPIPS) $(NIQE)  ## the metrics beside the published code, which TORCH_PYTHON must have
	$(RUN) benchmarks/metrics.py --torch_python $(TORCH_PYTHON)

$(NIQE): | .venv/installed
	$(RUN) scripts/download_weights.py niqe

$(LPIPS): | .venv/installed
	$(RUN) scripts/download_weights.py lpips-alex

$(WEIGHTS): | .venv/installed
	$(RUN) scripts/download_weights.py realesrgan-x4plus

.venv/installed: requirements.txt requirements-dev.txt
	$(PYTHON) -m venv .venv
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

clean:
	rm -rf .venv results
