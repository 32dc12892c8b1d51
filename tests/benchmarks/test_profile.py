import pytest

from benchmarks import gpu, profile
from benchmarks.profile import LOOP, MATRIX, PYTHON, RECURRENCE, Sample


@pytest.mark.parametrize(
    ("thread", "library", "symbol", "category"),
    [
        ("tf_Compute", "[JIT] tid 12", "0x00007f35995c40b1", MATRIX),
        (
            "tf_Compute",
            "libtensorflow_cc.so.2",
            "dnnl::impl::cpu::x64::gemm_info_t<float, float, float>::jit_init",
            MATRIX,
        ),
        (
            "tf_Compute",
            "libtensorflow_cc.so.2",
            "Eigen::internal::TensorExecutor<Eigen::TensorAssignOp<... scalar_logistic_op",
            RECURRENCE,
        ),
        (
            "tf_Compute",
            "libtensorflow_framework.so.2",
            "tensorflow::(anonymous namespace)::ExecutorState<...>::Process",
            LOOP,
        ),
        ("tf_Compute", "libc.so.6", "_int_malloc", LOOP),
        ("tf_Compute", "libc.so.6", "__memmove_avx512_unaligned_erms", RECURRENCE),
        ("siamese-job", "libpython3.11.so.1.0", "_PyEval_EvalFrameDefault", PYTHON),
        ("input_0", "libpython3.11.so.1.0", "_PyEval_EvalFrameDefault", profile.INPUT),
        ("tf_Compute", "[kernel.kallsyms]", "futex_wake", profile.KERNEL),
        (
            "tf_Compute",
            "libtensorflow_cc.so.2",
            "Eigen::internal::TensorExecutor<Eigen::TensorAssignOp<... scalar_rsqrt_op",
            profile.OPTIMIZER,
        ),
        ("siamese-job", "libssl.so.3", "SSL_read", profile.OTHER),
    ],
)
def test_a_symbol_decides_the_category(thread, library, symbol, category):
    assert profile.category_of(Sample(1, thread, library, symbol)) == category


def test_shares_are_of_the_samples_and_times_of_the_steps():
    text = (
        "# a comment\n"
        "30\ttf_Compute\t[JIT] tid 1\t[.] 0x1\n"
        "10\tsiamese-job\tlibpython3.11.so\t[.] PyObject_Call\n\n"
    )
    found = profile.summarise(profile.read_report(text), cpu=3.0, wall=2.0, num_steps=100)
    assert found.shares == {MATRIX: 0.75, PYTHON: 0.25}
    assert found.kernels == 0.75
    assert (found.cpu_ms, found.wall_ms) == (30.0, 20.0)


@pytest.mark.parametrize(
    ("spans", "share"),
    [
        ([], None),
        ([(0, 10)], 0.0),
        ([(0, 2), (8, 10)], 0.6),
        ([(0, 6), (1, 2), (4, 8), (8, 10)], 0.0),
    ],
)
def test_a_gpu_is_idle_where_no_kernel_runs(spans, share):
    assert gpu.idle_share(spans) == (None if share is None else pytest.approx(share))


def test_without_a_gpu_nothing_is_measured_and_the_benchmark_says_so(
    monkeypatch, capsys, tmp_path
):
    monkeypatch.setattr(gpu, "num_gpus", lambda: 0)
    monkeypatch.setattr("sys.argv", ["gpu", "--json", str(tmp_path / "gpu.json")])
    gpu.main()
    assert capsys.readouterr().out.startswith("not measured: ")
    assert '"not_measured": "no GPU"' in (tmp_path / "gpu.json").read_text()
