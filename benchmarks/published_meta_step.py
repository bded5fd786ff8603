"""A meta-step as the published `train.py` does it: the baseline of benchmarks/meta_step.py, which runs it.

One TF1 graph of unrolled networks that maps all tasks at once, with a discriminator that is normalized anew whenever it
is used, and two Adam optimizers. A step evaluates the graph once to train the generator, once to train the
discriminator, and where the step is printed a third time for the summaries' values. The networks are ours, unrolled:
the same layers.
"""

import functools

import numpy as np
import tensorflow.compat.v1 as tf
from training_workload import INPUTS, discriminator_of, generator, perceptual

from metaf2n_tf.networks import discriminator, lpips, masknet, rrdbnet

super_resolve = functools.partial(rrdbnet.forward, run_block=rrdbnet.block)
Task = dict[str, tf.Tensor]


def outer_loss(variables: dict[str, tf.Variable], task: Task, output: tf.Tensor, logits: tf.Tensor, weight_map):
    """The loss on backgrounds and its L1, LPIPS and GAN terms, each computed once more for the summaries."""

    def terms() -> list[tf.Tensor]:
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(logits=logits, labels=tf.ones_like(logits))
        return [
            tf.reduce_mean(tf.abs(task["labelb"] - output)),
            tf.reduce_mean(lpips.distance(perceptual(variables), task["labelb"], output)),
            tf.reduce_mean(entropy),
        ]

    l1, distance, gan = terms()
    return l1 + 0.5 * distance + 0.1 * gan + 0.002 * tf.reduce_mean((weight_map - 1) ** 2) / 2, terms()


def discriminator_loss(variables: dict[str, tf.Variable], task: Task, output: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy on a background and on its stand-in."""
    real = look(variables, task["labelb_nousm"])[0]
    fake = look(variables, tf.stop_gradient(output))[0]
    entropy = tf.nn.sigmoid_cross_entropy_with_logits
    return tf.reduce_mean(
        entropy(logits=real, labels=tf.ones_like(real)) + entropy(logits=fake, labels=tf.zeros_like(fake))
    )


def look(variables: dict[str, tf.Variable], pictures: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The discriminator's logits, and its advanced vectors `u`."""
    normalized, advanced = discriminator.normalize(discriminator_of(variables))
    return discriminator.forward(normalized, pictures), advanced


def sgd(loss: tf.Tensor, weights: dict, task_lr: float, stop_grad: tf.Variable) -> dict[str, tf.Tensor]:
    """Weights after one inner step."""
    gradients = tf.gradients(loss, list(weights.values()))
    gradients = tf.cond(stop_grad, lambda: [tf.stop_gradient(gradient) for gradient in gradients], lambda: gradients)
    return {name: value - task_lr * g for (name, value), g in zip(weights.items(), gradients, strict=True)}


def learn_task(
    variables: dict[str, tf.Variable], stop_grad: tf.Variable, task_lr: float, task_iter: int, values: tuple
) -> list:
    """What is mapped over the tasks."""
    task = dict(zip(INPUTS, values, strict=True))
    weights = {name: variables[name] for name in variables if name.startswith(f"{rrdbnet.SCOPE}/")}
    outputs, outer, terms, discriminator_losses = [super_resolve(weights, task["inputb"])], [], [], []
    output_a = super_resolve(weights, task["inputa"])
    logits, advanced = look(variables, tf.stop_gradient(outputs[0]))
    weight_map = masknet.forward(variables, task["inputa"], task["labela"])
    inner = tf.reduce_mean(weight_map * tf.abs(task["labela"] - output_a))
    unadapted, before = outer_loss(variables, task, outputs[0], logits, weight_map)
    terms.append(before)
    loss = inner
    for step in range(task_iter):
        if step:
            loss = tf.reduce_mean(weight_map * tf.abs(task["labela"] - super_resolve(weights, task["inputa"])))
        weights = sgd(loss, weights, task_lr, stop_grad)
        outputs.append(super_resolve(weights, task["inputb"]))
        total, after = outer_loss(variables, task, outputs[-1], look(variables, outputs[-1])[0], weight_map)
        outer.append(total)
        terms.append(after)
        discriminator_losses.append(discriminator_loss(variables, task, outputs[-1]))
    return [inner, unadapted, outer, terms, discriminator_losses, outputs, advanced, weight_map]


class PublishedStep:
    """The graph and its session. TensorFlow 2's behaviour must be off."""

    def __init__(
        self, weights: dict[str, np.ndarray], batch: dict[str, np.ndarray], task_lr: float, task_iter: int
    ) -> None:
        """Build the graph for weights and batches of these shapes, and load the weights."""
        self._weights = weights
        self._feed = {tf.placeholder(tf.float32, x.shape): x for x in batch.values()}
        trained = {**generator(weights), **discriminator.trained(discriminator_of(weights))}
        self._variables = {
            name: tf.get_variable(name, value.shape, initializer=tf.zeros_initializer(), trainable=name in trained)
            for name, value in weights.items()
        }
        stop_grad = tf.Variable(False, name="stop_grad", trainable=False)
        tasks = next(iter(batch.values())).shape[0]
        several = [tf.float32] * task_iter
        results = tf.map_fn(
            functools.partial(learn_task, self._variables, stop_grad, task_lr, task_iter),
            tuple(self._feed),
            dtype=[
                tf.float32,
                tf.float32,
                several,
                [[tf.float32] * 3] * (task_iter + 1),
                several,
                [tf.float32] * (task_iter + 1),
                {name: tf.float32 for name in self._variables if name.endswith("/u")},
                tf.float32,
            ],
            parallel_iterations=tasks,
        )
        mean = lambda x: tf.reduce_sum(x) / tasks  # noqa: E731
        inner, unadapted, outer, terms, discriminator_losses = tf.nest.map_structure(mean, results[:5])
        outputs, advanced, weight_map = results[5:]
        # Published, each task assigns its own result inside of the loop; from parallel iterations that can crash.
        self._updates = [tf.assign(self._variables[name], u[-1]) for name, u in advanced.items()]
        self._losses = {"inner": inner, "unadapted": unadapted, "outer": outer, "discriminator": discriminator_losses}
        for index, term in enumerate(("l1", "lpips", "gan")):
            self._losses[term] = [values[index] for values in terms]
        self._pictures = {"before": outputs[0][0], "after": outputs[-1][0], "weight_map": weight_map}
        # The published weights of the inner steps: all equal, as the step counter that they follow never advances.
        weighted = tf.reduce_mean(tf.stack(outer) / task_iter)
        optimizer, discriminator_optimizer = tf.train.AdamOptimizer(3e-5), tf.train.AdamOptimizer(1e-4)
        gradients = optimizer.compute_gradients(weighted, list(generator(self._variables).values()))
        discriminator_variables = list(discriminator.trained(discriminator_of(self._variables)).values())
        self._train = optimizer.apply_gradients(gradients)
        self._train_discriminator = discriminator_optimizer.apply_gradients(
            discriminator_optimizer.compute_gradients(discriminator_losses[-1], discriminator_variables)
        )
        self._gradient = {variable.op.name: gradient for gradient, variable in gradients}
        self._initialize = tf.global_variables_initializer()
        config = tf.ConfigProto()
        config.gpu_options.allow_growth = True
        # Grappler takes minutes over this graph; ours does without it too. On 3 blocks it saved under a tenth.
        config.graph_options.rewrite_options.disable_meta_optimizer = not tf.config.list_physical_devices("GPU")
        self._session = tf.Session(config=config)
        self.load()

    def load(self) -> None:
        """Go back to the weights as they were at first."""
        initial = {self._variables[name].initializer.inputs[1]: value for name, value in self._weights.items()}
        self._session.run(self._initialize, initial)

    def train(self) -> None:
        """A step that is not printed: two evaluations, and the updates of the discriminator's `u`."""
        for update in self._updates:
            self._session.run(update)
        self._session.run(self._train, self._feed)
        self._session.run(self._train_discriminator, self._feed)

    def watch(self) -> None:
        """The third evaluation: what is printed and summarized."""
        self._session.run((self._losses, self._pictures), self._feed)

    def evaluate(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Losses and the generator's gradient of one evaluation, nothing changed."""
        return self._session.run((self._losses, self._gradient), self._feed)
