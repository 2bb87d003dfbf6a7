"""GPU performance monitoring (Hopper and newer): activity of SMs, tensor cores and memory; works on MIG slices too."""

from .verdict import FRESH

# NVML_GPM_METRIC_SM_UTIL, _SM_OCCUPANCY, _ANY_TENSOR_UTIL, _DRAM_BW_UTIL
METRICS = (2, 3, 5, 10)


class Gpm(object):
    """Differences between two samples of one handle. The first reading has no values."""

    def __init__(self, nvml, handle, gpu_instance=None):
        self._nvml = nvml
        self._handle = handle
        self._instance = gpu_instance
        self._before = None
        self._spare = None
        self._checked = False

    def read(self):
        """((value or None, letter), ...) of METRICS in percent.

        Raises what NVML raises, NotSupported before Hopper among it.
        """
        nvml = self._nvml
        if not self._checked:
            if self._instance is None and not nvml.nvmlGpmQueryDeviceSupport(self._handle).isSupportedDevice:
                raise NotImplementedError("this card has no GPM")
            self._checked = True
        # Kept in _spare until it is filled: a call that fails again and again must not allocate again and again.
        sample = self._spare = self._spare or nvml.nvmlGpmSampleAlloc()
        if self._instance is None:
            nvml.nvmlGpmSampleGet(self._handle, sample)
        else:
            nvml.nvmlGpmMigSampleGet(self._handle, self._instance, sample)
        before, self._before, self._spare = self._before, sample, None
        if before is None:
            return tuple((None, FRESH) for _ in METRICS)
        asked = nvml.c_nvmlGpmMetricsGet_t()
        asked.version = nvml.NVML_GPM_METRICS_GET_VERSION
        asked.numMetrics = len(METRICS)
        asked.sample1, asked.sample2 = before, sample
        for place, metric in enumerate(METRICS):
            asked.metrics[place].metricId = metric
        self._spare = before
        got = nvml.nvmlGpmMetricsGet(asked)
        out = []
        for place in range(len(METRICS)):
            row = got.metrics[place]
            good = row.nvmlReturn == 0 and row.value - row.value == 0.0  # neither NaN nor infinite
            out.append((min(100.0, max(0.0, row.value)), FRESH) if good else (None, "e"))
        return tuple(out)
