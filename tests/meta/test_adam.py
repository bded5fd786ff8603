import numpy as np
import tensorflow as tf

from metaf2n_tf.meta import adam

RATE, STEPS = 3e-3, 4


def tf1_adam(start, gradients):
    """Values, slots and powers that TensorFlow 1's optimizer leaves, after every step."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        variable = v1.get_variable("x", initializer=start, use_resource=False)
        gradient = v1.placeholder(tf.float32, start.shape)
        optimizer = v1.train.AdamOptimizer(RATE)
        train = optimizer.apply_gradients([(gradient, variable)])
        kept = [
            variable,
            *(optimizer.get_slot(variable, name) for name in ("m", "v")),
            *optimizer._get_beta_accumulators(),
        ]
        session.run(v1.global_variables_initializer())
        initial = session.run(kept)
        history = []
        for value in gradients:
            session.run(train, {gradient: value})
            history.append(session.run(kept))
        return initial, history


def test_it_is_tf1s():
    rng = np.random.default_rng(0)
    start = rng.standard_normal((5, 3)).astype(np.float32)
    gradients = [np.float32(10.0**-power * rng.standard_normal((5, 3))) for power in range(1, STEPS + 1)]
    initial, history = tf1_adam(start, gradients)
    params = {"x": tf.constant(start)}
    state = adam.initial_state(params)
    for expected, gradient in zip([initial, *history], [*gradients, None], strict=True):
        found = (params["x"], state.first["x"], state.second["x"], state.beta1_power, state.beta2_power)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=1e-12)
        if gradient is not None:
            params, state = adam.update(params, {"x": tf.constant(gradient)}, state, RATE)
