"""Base class of trainers: moving average of the weights, optimizers, waiting time for data, several devices."""

import contextlib
import time

import keras
import tensorflow as tf

from vqzoo.trainers.strategy import function_over_workers
from vqzoo.trainers.strategy import has_workers
from vqzoo.trainers.strategy import whole_batch_gradients


class BaseTrainer(keras.Model):
    """Fits a model. A subclass implements `fitted`, `loss_names`, `check_batch`, `train_step` and `test_step`.

    Its constructor stores the fitted model, and then calls `set_up`.
    """

    losses_hint = ""  # how a subclass receives its losses

    @property
    def fitted(self):
        """The model whose weights are trained and averaged."""
        raise NotImplementedError

    @property
    def loss_names(self):
        """Tuple of the names of all losses, in the order of the report."""
        raise NotImplementedError

    def check_batch(self, batch):
        """Raises ValueError if the model does not accept the first element of a batch."""
        raise NotImplementedError

    def set_up(self, loss_weights, average_decay):
        """Final part of every constructor.

        Args:
            loss_weights: dict with a float for each name in `loss_names`.
            average_decay: float in [0, 1), decay of the moving average of the weights; 0 disables it.

        Raises:
            ValueError: if `loss_weights` does not name exactly the losses, or `average_decay` is out of range.
        """
        self.loss_weights = {name: float(weight) for name, weight in loss_weights.items()}
        self.average_decay = float(average_decay)
        self._check_names()
        if not 0.0 <= average_decay < 1.0:
            raise ValueError(f"`average_decay` must be in [0, 1). Received: average_decay={average_decay}")
        self.means = {name: keras.metrics.Mean(name=name) for name in self._reported_names()}
        self.averaged_variables, self.averages = [], []
        # Seconds that `fit` has waited for data since the trainer was created. With `steps_per_execution` above 1, the
        # wait happens inside the graph and is not measured.
        self.seconds_waiting = 0.0
        # Steps of the first epoch of `fit` that an earlier run has taken. They are skipped without data.
        self.steps_to_skip = 0
        self._saw_data = False

    # === Layers ===
    def build(self, input_shape):
        self.build_fitted(input_shape)
        state = {"trainable": False, "aggregation": "only_first_replica"}
        self.steps = self.add_weight(name="steps", shape=(), dtype="int32", initializer="zeros", **state)
        if self.average_decay:
            # Stored, because a part that is frozen later leaves `trainable_variables`.
            self.averaged_variables = list(self.fitted.trainable_variables)
            for i, variable in enumerate(self.averaged_variables):
                average = self.add_weight(
                    name=f"average_{i}",
                    shape=variable.shape,
                    dtype="float32",
                    initializer="zeros",
                    autocast=False,
                    **state,
                )
                average.assign(variable)
                self.averages.append(average)
        self.built = True
        if self.compiled:
            self.build_optimizers()

    def build_fitted(self, input_shape):
        """Builds the fitted model."""
        self.fitted.build(input_shape)

    def compile(self, optimizer, jit_compile=False, **kwargs):
        """Sets the optimizer and the other arguments of `keras.Model.compile` (`steps_per_execution`, ...).

        Gradients are clipped by the optimizer: `keras.optimizers.Adam(1e-4, global_clipnorm=1.0)`.

        Args:
            optimizer: `keras.optimizers.Optimizer` of the fitted model.
            jit_compile: bool, whether XLA compiles the step. Defaults to False, because on CPU compilation takes half a
                minute and convolutions are slower.
            **kwargs: passed on.

        Raises:
            ValueError: if `loss` is given, because a trainer has its own losses.
        """
        if kwargs.get("loss") is not None:
            raise ValueError(
                f"The losses of a trainer are arguments of its constructor. Received: loss={kwargs['loss']!r}. "
                f"{self.losses_hint}"
            )
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)
        if self.built:
            self.build_optimizers()

    def build_optimizers(self):
        """Creates the state of each optimizer for its variables, so that saving and resuming keep it."""
        if not self.optimizer.built:
            self.optimizer.build(self.fitted.trainable_variables)

    # === Losses ===
    def weighted(self, losses):
        """Weighted sum of `losses`. A loss of weight 0 is left out, so that its NaN does not propagate."""
        terms = [self.loss_weights[name] * loss for name, loss in losses.items() if self.loss_weights[name]]
        return tf.add_n(terms) if terms else tf.zeros(())

    def evaluate(self, *args, **kwargs):
        """As in Keras, with the moving average of the weights."""
        with self.averaged():
            return super().evaluate(*args, **kwargs)

    # === Moving average ===
    @contextlib.contextmanager
    def averaged(self):
        """Replaces the weights by their moving average inside a `with` block, and restores them exactly.

        Evaluate and save inside it, because saved weights are the average.
        """
        self._swap()
        try:
            yield self.fitted
        finally:
            self._swap()

    def _swap(self):
        for variable, average in zip(self.averaged_variables, self.averages, strict=True):
            kept = keras.ops.copy(variable.value)
            variable.assign(average)
            average.assign(kept)

    def _step_average(self):
        """Updates the average by one step. Called once per training step, after the optimizer."""
        step = tf.cast(self.steps.value, tf.float32)
        decay = tf.minimum(self.average_decay, (1.0 + step) / (10.0 + step))
        for variable, average in zip(self.averaged_variables, self.averages, strict=True):
            average.assign(decay * average + (1.0 - decay) * tf.cast(variable.value, tf.float32))
        self.steps.assign_add(1)

    # === Steps ===
    compiled_by_shapes = False
    """bool, whether a step of training is compiled for each shape of a batch, instead of once for all sizes."""

    def make_train_function(self, force=False):
        """As in Keras, and measures how long each step waits for data."""
        if self.train_function is not None and not force:
            return
        super().make_train_function(force)
        if has_workers(self.distribute_strategy):
            self.train_function = function_over_workers(self, self.train_step)
        step = self.train_function
        if self.compiled_by_shapes and not has_workers(self.distribute_strategy):
            step = self._by_shapes(step)

        def timed(iterator):
            started = time.perf_counter()
            batch = next(iterator)
            self.seconds_waiting += time.perf_counter() - started
            if not self._saw_data:
                self._saw_data = True
                first, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
                for part in self.distribute_strategy.experimental_local_results(first):
                    if isinstance(part, tf.Tensor):
                        self.check_batch(part)  # also its values, which are unknown in a graph
            return step(iter([batch]))

        self.train_function = self._skipping(timed if self.steps_per_execution == 1 else step)

    def _by_shapes(self, first):
        """A step that is compiled for each shape of a batch, the first time by `first`."""
        steps = {}

        def step(iterator):
            batch = next(iterator)
            shapes = tuple(tuple(x.shape) for x in tf.nest.flatten(batch, expand_composites=True))
            if shapes not in steps:
                if steps:  # Keras would compile its function again for any shape, when it sees the second one
                    kept = self.train_function
                    super(BaseTrainer, self).make_train_function(force=True)
                    steps[shapes], self.train_function = self.train_function, kept
                else:
                    steps[shapes] = first
            return steps[shapes](iter([batch]))

        return step

    def make_test_function(self, force=False):
        """As in Keras, and supports several workers."""
        if self.test_function is not None and not force:
            return
        super().make_test_function(force)
        if has_workers(self.distribute_strategy):
            self.test_function = function_over_workers(self, self.test_step)

    def _skipping(self, step):
        """`step`, without the steps to skip."""

        def function(iterator):
            if self.steps_to_skip:
                self.steps_to_skip = max(0, self.steps_to_skip - self.steps_per_execution)
                return self.get_metrics_result()
            return step(iterator)

        return function

    def _apply(self, optimizer, gradients, variables):
        """Applies one step of an optimizer."""
        optimizer.apply(whole_batch_gradients(optimizer, gradients), variables)

    def _scale(self, optimizer):
        """The factor of gradients: the loss scale divided by the number of replicas, whose gradients are summed."""
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        return optimizer.scale_loss(tf.ones(())) / replicas

    def _reported_names(self):
        return ("loss", *self.loss_names)

    def _check_names(self):
        if len(set(self.loss_names)) < len(self.loss_names):
            raise ValueError(f"Two losses share a name: {list(self.loss_names)}. Rename your own loss.")
        if set(self.loss_weights) != set(self.loss_names):
            raise ValueError(
                f"`loss_weights` must have one number for each loss: {list(self.loss_names)}. Received: "
                f"{list(self.loss_weights)}. Missing: {sorted(set(self.loss_names) - set(self.loss_weights))}; "
                f"unknown: {sorted(set(self.loss_weights) - set(self.loss_names))}. A weight of 0 only reports."
            )

    # === Config ===
    def get_compile_config(self):
        if not self.compiled:
            return None
        return {"optimizer": keras.saving.serialize_keras_object(self.optimizer), "jit_compile": self.jit_compile}

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
