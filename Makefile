# Everything runs in .venv, which is made and filled on first use. With STACK=tf215, which needs Python 3.10 or 3.11, in
# .venv-tf215: TensorFlow 2.15 with tensorflow-addons. TESTS=tests/faces, say, is what `make test` runs instead of all.
STACK :=
TESTS :=
PYTHON ?= python3
VENV := .venv$(STACK:%=-%)
REQUIREMENTS := requirements$(STACK:%=-%).txt
RUN := $(VENV)/bin/python
WEIGHTS := weights/realesrgan-x4plus.npz
LPIPS := weights/lpips-alex.npz
NIQE := weights/niqe_pris_params.npz
DISTS := weights/dists.npz
FACE_MESH := weights/face_landmark.tflite
PICTURES ?= datasets/lite/pictures
TORCH_PYTHON ?= python3
JAX_VENV := .venv-jax
JAX_PYTHON ?= python3
EXPORT_VENV := .venv-export
PEERS_VENV := .venv-peers
# All weights of these targets stay here, and none of the user's cache is taken.
export METAF2N_WEIGHTS := weights

.PHONY: demo held-out train-demo kdfsrnet-demo test test-slow test-package lint bench bench-faces bench-kdfsrnet bench-data bench-meta bench-metrics bench-peers bench-portable bench-gpu clean

demo: $(VENV)/installed $(WEIGHTS) $(LPIPS) $(NIQE)  ## the main job on a real photo: faces, adaptation, x4, report
	$(RUN) scripts/demo.py

train-demo: $(VENV)/installed $(LPIPS)  ## a small meta-training, and what one inner step is worth after it
	$(RUN) scripts/train_demo.py

kdfsrnet-demo: $(VENV)/installed $(FACE_MESH)  ## a small training of KDFSRNet's student, with its teacher and without
	$(RUN) scripts/kdfsrnet_demo.py

test: $(VENV)/installed $(WEIGHTS) $(LPIPS) $(NIQE) $(FACE_MESH)  ## the tests, under 12 minutes
	$(RUN) -m pytest -n 2 --dist loadfile $(TESTS)

test-slow: $(VENV)/installed $(EXPORT_VENV)/installed $(WEIGHTS) $(LPIPS) $(NIQE) $(FACE_MESH)  ## the full-size checks too
	$(RUN) -m pytest -m "slow or not slow"

test-package: $(VENV)/installed  ## the wheel in an environment of its own
	$(RUN) -m pytest -m slow tests/package

lint: $(VENV)/installed  ## style and types
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m pyright

held-out: $(VENV)/installed $(WEIGHTS) $(LPIPS) $(NIQE) $(DISTS)  ## the shipped weights beside their control, on the PICTURES that held_out.json names
	$(RUN) benchmarks/held_out.py --pictures $(PICTURES)

bench: $(VENV)/installed $(WEIGHTS)  ## speed and memory, each beside its baseline
	$(RUN) benchmarks/inference.py --large

bench-peers: $(VENV)/installed $(PEERS_VENV)/installed $(WEIGHTS)  ## the SR networks beside PyTorch, ONNX Runtime, OpenVINO and ncnn
	$(RUN) benchmarks/peers.py --peers_python $(PEERS_VENV)/bin/python

bench-faces: $(VENV)/installed  ## the face networks beside PyTorch, which TORCH_PYTHON must have
	$(RUN) benchmarks/faces.py --torch_python $(TORCH_PYTHON)

bench-kdfsrnet: $(VENV)/installed  ## KDFSRNet and its training step beside PyTorch, which TORCH_PYTHON must have
	$(RUN) benchmarks/kdfsrnet.py --torch_python $(TORCH_PYTHON)

bench-data: $(VENV)/installed $(WEIGHTS)  ## training data beside NumPy, OpenCV and the published way of writing
	$(RUN) benchmarks/data.py

bench-meta: $(VENV)/installed $(WEIGHTS) $(LPIPS)  ## the meta-step beside the published way
	$(RUN) benchmarks/meta_step.py

bench-gpu: $(VENV)/installed $(JAX_VENV)/installed  ## SR networks, inner step and meta-step timed on JAX's device
	$(RUN) benchmarks/portable.py --output results/gpu --published --jax_python $(JAX_VENV)/bin/python

bench-portable: $(VENV)/installed  ## the same programs, small, in TensorFlow and in JAX, which JAX_PYTHON must have
	$(RUN) benchmarks/portable.py --output results/portable --jax_python $(JAX_PYTHON)

bench-metrics: $(VENV)/installed $(LPIPS) $(NIQE)  ## the metrics beside the published code, which TORCH_PYTHON must have
	$(RUN) benchmarks/metrics.py --torch_python $(TORCH_PYTHON)

weights:
	mkdir -p $@

$(FACE_MESH): | weights $(VENV)/installed
	$(RUN) scripts/download_weights.py face-mesh

$(DISTS): | weights $(VENV)/installed
	$(RUN) scripts/download_weights.py dists dists-weights

$(NIQE): | weights $(VENV)/installed
	$(RUN) scripts/download_weights.py niqe

$(LPIPS): | weights $(VENV)/installed
	$(RUN) scripts/download_weights.py lpips-alex

$(WEIGHTS): | weights $(VENV)/installed
	$(RUN) scripts/download_weights.py realesrgan-x4plus

$(VENV)/installed: $(REQUIREMENTS) requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS) -r requirements-dev.txt
	touch $@

$(EXPORT_VENV)/installed: requirements-export.txt  ## the programs that exported weights are tried in
	$(PYTHON) -m venv $(EXPORT_VENV)
	$(EXPORT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(PEERS_VENV)/installed: requirements-peers.txt  ## the programs that the SR networks are measured beside
	$(PYTHON) -m venv $(PEERS_VENV)
	$(PEERS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(JAX_VENV)/installed: requirements-jax.txt  ## JAX, with CUDA
	$(PYTHON) -m venv $(JAX_VENV)
	$(JAX_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

clean:
	rm -rf .venv .venv-tf215 .venv-export .venv-peers .venv-jax results
