"""What all trainers share: a moving average of the weights, optimizers, the wait for data, steps on several devices."""

import contextlib
import time

import keras
import tensorflow as tf

from vqzoo.trainers.strategy import function_over_workers
from vqzoo.trainers.strategy import has_workers
from vqzoo.trainers.strategy import whole_batch_gradients


class BaseTrainer(keras.Model):
    """Fits a model. A subclass writes `fitted`, `loss_names`, `check_batch`, `train_step` and `test_step`.

    Its constructor keeps the model that is fitted, and then calls `set_up`.
    """

    losses_hint = ""  # how a subclass is given its losses

    @property
    def fitted(self):
        """The model whose weights are learnt and averaged."""
        raise NotImplementedError

    @property
    def loss_names(self):
        """Tuple with the name of every loss, in the order in which they are reported."""
        raise NotImplementedError

    def check_batch(self, batch):
        """Raises ValueError where the first of what a data set yields is nothing that the model takes."""
        raise NotImplementedError

    def set_up(self, loss_weights, average_decay):
        """What every constructor ends with.

        Args:
            loss_weights: dict with a float for each name in `loss_names`.
            average_decay: float in [0, 1), of the moving average of the weights; 0 keeps none.

        Raises:
            ValueError: if `loss_weights` does not name exactly the losses, or `average_decay` is out of range.
        """
        self.loss_weights = {name: float(weight) for name, weight in loss_weights.items()}
        self.average_decay = float(average_decay)
        self._check_names()
        if not 0.0 <= average_decay < 1.0:
            raise ValueError(f"`average_decay` lies in [0, 1). Received: average_decay={average_decay}")
        self.means = {name: keras.metrics.Mean(name=name) for name in self._reported_names()}
        self.averaged_variables, self.averages = [], []
        # Seconds that `fit` has waited for data since the trainer was made; with `steps_per_execution` above 1 the
        # wait happens inside the graph and is not seen.
        self.seconds_waiting = 0.0
        # Steps of the epoch that `fit` begins with which an earlier run has taken: they pass at once, without data.
        self.steps_to_skip = 0
        self._saw_data = False

    # === Layers ===
    def build(self, input_shape):
        self.build_fitted(input_shape)
        state = {"trainable": False, "aggregation": "only_first_replica"}
        self.steps = self.add_weight(name="steps", shape=(), dtype="int32", initializer="zeros", **state)
        if self.average_decay:
            # Kept, because a part may be frozen later and leave `trainable_variables`.
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
        """Builds the model that is fitted."""
        self.fitted.build(input_shape)

    def compile(self, optimizer, jit_compile=False, **kwargs):
        """Sets the optimizer, and what else `keras.Model.compile` takes (`steps_per_execution`, ...).

        Gradients are clipped by the optimizer: `keras.optimizers.Adam(1e-4, global_clipnorm=1.0)`.

        Args:
            optimizer: `keras.optimizers.Optimizer` of the model that is fitted.
            jit_compile: bool, whether XLA compiles the step. Defaults to False: on CPU it compiles for half a minute
                and runs convolutions slower.
            **kwargs: passed on.

        Raises:
            ValueError: if there is a `loss`: a trainer has its own.
        """
        if kwargs.get("loss") is not None:
            raise ValueError(
                f"A trainer's losses are given to its constructor. Received: loss={kwargs['loss']!r}. "
                f"{self.losses_hint}"
            )
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)
        if self.built:
            self.build_optimizers()

    def build_optimizers(self):
        """Makes each optimizer's state on the variables that it owns, so that saving and resuming keep it."""
        if not self.optimizer.built:
            self.optimizer.build(self.fitted.trainable_variables)

    # === Losses ===
    def weighted(self, losses):
        """Sums `losses` by their weights; a loss of weight 0 is left out, so that its NaN does not spread."""
        terms = [self.loss_weights[name] * loss for name, loss in losses.items() if self.loss_weights[name]]
        return tf.add_n(terms) if terms else tf.zeros(())

    def evaluate(self, *args, **kwargs):
        """As in Keras, with the moving average of the weights."""
        with self.averaged():
            return super().evaluate(*args, **kwargs)

    # === Moving average ===
    @contextlib.contextmanager
    def averaged(self):
        """Puts the moving average in place of the weights inside a `with` block, exactly, and back.

        Evaluate and save inside it: saved weights are the average.
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
        """Moves the average by one step; called once in each training step, after the optimizer."""
        step = tf.cast(self.steps.value, tf.float32)
        decay = tf.minimum(self.average_decay, (1.0 + step) / (10.0 + step))
        for variable, average in zip(self.averaged_variables, self.averages, strict=True):
            average.assign(decay * average + (1.0 - decay) * tf.cast(variable.value, tf.float32))
        self.steps.assign_add(1)

    # === Steps ===
    def make_train_function(self, force=False):
        """As in Keras, and measures how long each step waits for its data."""
        if self.train_function is not None and not force:
            return
        super().make_train_function(force)
        if has_workers(self.distribute_strategy):
            self.train_function = function_over_workers(self, self.train_step)
        step = self.train_function

        def timed(iterator):
            started = time.perf_counter()
            batch = next(iterator)
            self.seconds_waiting += time.perf_counter() - started
            if not self._saw_data:
                self._saw_data = True
                first, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
                for part in self.distribute_strategy.experimental_local_results(first):
                    if isinstance(part, tf.Tensor):
                        self.check_batch(part)  # its values too, which a graph does not show
            return step(iter([batch]))

        self.train_function = self._skipping(timed if self.steps_per_execution == 1 else step)

    def make_test_function(self, force=False):
        """As in Keras, and on several workers."""
        if self.test_function is not None and not force:
            return
        super().make_test_function(force)
        if has_workers(self.distribute_strategy):
            self.test_function = function_over_workers(self, self.test_step)

    def _skipping(self, step):
        """`step`, but for those that are to be skipped."""

        def function(iterator):
            if self.steps_to_skip:
                self.steps_to_skip = max(0, self.steps_to_skip - self.steps_per_execution)
                return self.get_metrics_result()
            return step(iterator)

        return function

    def _apply(self, optimizer, gradients, variables):
        """One step of an optimizer."""
        optimizer.apply(whole_batch_gradients(optimizer, gradients), variables)

    def _scale(self, optimizer):
        """The factor for gradients: the loss scale over the number of replicas, whose gradients are summed."""
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        return optimizer.scale_loss(tf.ones(())) / replicas

    def _reported_names(self):
        return ("loss", *self.loss_names)

    def _check_names(self):
        if len(set(self.loss_names)) < len(self.loss_names):
            raise ValueError(f"Two losses share a name: {list(self.loss_names)}. Give a loss of your own another one.")
        if set(self.loss_weights) != set(self.loss_names):
            raise ValueError(
                f"`loss_weights` has one number for each loss: {list(self.loss_names)}. Received: "
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
