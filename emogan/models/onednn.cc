// Convolutions of NHWC maps by oneDNN, as one handler of XLA's foreign function interface.
//
// The three kinds are those of conv.py: the convolution (large map, kernel -> small map), its transpose (small map,
// kernel -> large map) and the gradient of the kernel (large map, small map -> kernel). Maps and kernels are float32
// or bfloat16; sums are float32.
//
// The examples of a batch are shared out among XLA's own threads, and oneDNN computes each share with one thread.
// OpenMP's threads, which oneDNN would otherwise use, wait for each other while XLA's hold their cores.

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "oneapi/dnnl/dnnl.hpp"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;
using dnnl::memory;
using Integers = ffi::Span<const int64_t>;

extern "C" int omp_get_max_threads();
extern "C" void omp_set_num_threads(int);

namespace {

// What lives as long as the process is never destroyed, because threads may still use it when the process ends.
const dnnl::engine& Engine() {
  static auto* engine = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *engine;
}

dnnl::stream& Stream() {
  thread_local dnnl::stream stream(Engine());
  return stream;
}

// Within it, oneDNN makes and runs primitives with the calling thread alone.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }

 private:
  int before_;
};

// Calls task(0) .. task(count - 1) on the calling thread and those of the pool that are free.
void Share(ffi::ThreadPool& pool, int64_t count, const std::function<void(int64_t)>& task) {
  struct State {
    std::function<void(int64_t)> task;
    int64_t count;
    std::atomic<int64_t> next{0};
    std::mutex mutex;
    std::condition_variable all_done;
    int64_t done = 0;
    std::string error;
  };
  auto state = std::make_shared<State>();
  state->task = task;
  state->count = count;
  const auto work = [state] {
    OneThread one_thread;
    for (int64_t i; (i = state->next++) < state->count;) {
      std::string error;
      try {
        state->task(i);
      } catch (const std::exception& exception) {
        error = exception.what();
      }
      std::lock_guard<std::mutex> lock(state->mutex);
      if (!error.empty()) state->error = error;
      if (++state->done == state->count) state->all_done.notify_all();
    }
  };
  for (int64_t i = 1; i < std::min(count, pool.num_threads()); ++i) pool.Schedule(std::function<void()>(work));
  work();
  // A thread of the pool that has not begun by now finds nothing left to do, so only shares in progress are awaited.
  std::unique_lock<std::mutex> lock(state->mutex);
  state->all_done.wait(lock, [&] { return state->done == state->count; });
  if (!state->error.empty()) throw std::runtime_error(state->error);
}

enum Kind : int64_t { kGather, kScatter, kPair };  // the names and numbers of conv.py

struct Shape {
  memory::dims dims;
  memory::data_type type;
};

struct Task {
  Kind kind;
  Shape large, kernel, small;
  memory::dims strides, before, after;
};

// A buffer of this thread at an address that 64 divides; valid until the next call with the same `purpose`.
template <int purpose>
char* Space(size_t size) {
  thread_local std::unique_ptr<char[]> space;
  thread_local size_t held = 0;
  if (held < size) {
    space.reset(new char[size + 64]);
    held = size;
  }
  return space.get() + (64 - reinterpret_cast<uintptr_t>(space.get()) % 64) % 64;
}

void Reorder(memory from, memory to) { dnnl::reorder(from, to).execute(Stream(), from, to); }

// oneDNN's form of a task; maps stay in NHWC, and oneDNN chooses the layout of the kernel.
struct Primitive {
  dnnl::primitive primitive;
  memory::desc x, y, w, scratchpad;  // w as the primitive has it

  explicit Primitive(const Task& task) {
    using tag = memory::format_tag;
    const auto algorithm = dnnl::algorithm::convolution_direct;
    x = memory::desc(task.large.dims, task.large.type, tag::nhwc);
    y = memory::desc(task.small.dims, task.small.type, tag::nhwc);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const memory::desc any_w(task.kernel.dims, task.large.type, tag::any);
    const dnnl::convolution_forward::primitive_desc forward(Engine(), dnnl::prop_kind::forward_training, algorithm, x,
                                                            any_w, y, task.strides, task.before, task.after,
                                                            attributes);
    if (task.kind == kGather) {
      Take(dnnl::convolution_forward(forward), forward, forward.weights_desc());
    } else if (task.kind == kScatter) {
      const dnnl::convolution_backward_data::primitive_desc backward(Engine(), algorithm, x, any_w, y, task.strides,
                                                                     task.before, task.after, forward, attributes);
      Take(dnnl::convolution_backward_data(backward), backward, backward.weights_desc());
    } else {
      const memory::desc sums(task.kernel.dims, memory::data_type::f32, tag::any);
      const dnnl::convolution_backward_weights::primitive_desc backward(Engine(), algorithm, x, sums, y, task.strides,
                                                                        task.before, task.after, forward, attributes);
      Take(dnnl::convolution_backward_weights(backward), backward, backward.diff_weights_desc());
    }
  }

  void Execute(std::unordered_map<int, memory> arguments) const {
    arguments.emplace(DNNL_ARG_SCRATCHPAD, memory(scratchpad, Engine(), Space<0>(scratchpad.get_size())));
    primitive.execute(Stream(), arguments);
  }

 private:
  template <typename Description>
  void Take(dnnl::primitive made, const Description& description, const memory::desc& kernel) {
    primitive = std::move(made);
    w = kernel;
    scratchpad = description.scratchpad_desc();
  }
};

// The T that the first call with this key made of its arguments, which the key must determine.
template <typename T, typename... Arguments>
const T& Kept(const std::vector<int64_t>& key, const Arguments&... arguments) {
  static auto* mutex = new std::mutex;
  static auto* made = new std::map<std::vector<int64_t>, std::unique_ptr<const T>>;
  std::lock_guard<std::mutex> lock(*mutex);
  auto& found = (*made)[key];
  if (!found) found = std::make_unique<const T>(arguments...);
  return *found;
}

const Primitive& PrimitiveOf(Task task, int64_t examples) {
  task.large.dims[0] = task.small.dims[0] = examples;
  std::vector<int64_t> key{task.kind};
  for (const memory::dims& part : {task.strides, task.before, task.after}) key.insert(key.end(), part.begin(), part.end());
  for (const Shape& shape : {task.large, task.kernel, task.small}) {
    key.insert(key.end(), shape.dims.begin(), shape.dims.end());
    key.push_back(static_cast<int64_t>(shape.type));
  }
  return Kept<Primitive>(key, task);
}

char* At(const ffi::AnyBuffer& map, int64_t example) {
  return static_cast<char*>(map.untyped_data()) + map.size_bytes() / map.dimensions()[0] * example;
}

// The product of the transpose of a [k, m] with b [k, n], both bfloat16: [m, n].
struct Product {
  dnnl::matmul primitive;
  memory::desc a, b, sum, scratchpad;

  Product(int64_t m, int64_t k, int64_t n, memory::data_type type)
      : a({m, k}, memory::data_type::bf16, memory::dims{1, m}),
        b({k, n}, memory::data_type::bf16, memory::dims{n, 1}),
        sum({m, n}, type, memory::dims{n, 1}) {
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::matmul::primitive_desc description(Engine(), a, b, sum, attributes);
    primitive = dnnl::matmul(description);
    scratchpad = description.scratchpad_desc();
  }
};

const Product& ProductOf(int64_t m, int64_t k, int64_t n, memory::data_type type) {
  return Kept<Product>({m, k, n, static_cast<int64_t>(type)}, m, k, n, type);
}

// Whether the gradient of a kernel is computed as one matrix product for each tap, over the places where it meets data.
// In bfloat16, on small maps of many channels, that is several times as fast as oneDNN's own (on two cores: the threads
// share the taps). And oneDNN 3.2 with AVX-512 gives wrong numbers, or none, where the small map is one place wide.
bool IsProducts(const Task& task) {
  const auto half = memory::data_type::bf16;
  const memory::dims &large = task.large.dims, &small = task.small.dims;
  if (task.kind != kPair || task.large.type != half || task.small.type != half) return false;
  const bool faster = std::max(task.strides[0], task.strides[1]) > 1 && std::max(small[2], small[3]) <= 3 &&
                      std::min(large[1], small[1]) >= 128;
  return faster || small[3] == 1;
}

void RunProducts(const Task& task, const char* large, const char* small, char* result, ffi::ThreadPool& pool) {
  const int64_t examples = task.large.dims[0], inputs = task.large.dims[1], outputs = task.small.dims[1];
  const int64_t columns = task.kernel.dims[3], bytes = 2;
  const int64_t of_tap = inputs * outputs * (task.kernel.type == memory::data_type::bf16 ? 2 : 4);
  Share(pool, task.kernel.dims[2] * columns, [&](int64_t tap) {
    int64_t first[2], end[2], shift[2];  // the places of the small map for which the tap meets the large one
    for (int d : {0, 1}) {
      const int64_t stride = task.strides[d], size = task.large.dims[2 + d];
      shift[d] = (d ? tap % columns : tap / columns) - task.before[d];
      first[d] = shift[d] < 0 ? (-shift[d] + stride - 1) / stride : 0;
      end[d] = shift[d] >= size ? 0 : std::min(task.small.dims[2 + d], (size - 1 - shift[d]) / stride + 1);
    }
    char* own = result + tap * of_tap;
    if (end[0] <= first[0] || end[1] <= first[1]) {
      std::fill_n(own, of_tap, 0);
      return;
    }
    const int64_t rows = examples * (end[0] - first[0]) * (end[1] - first[1]);
    char *a = Space<1>(rows * inputs * bytes), *b = Space<2>(rows * outputs * bytes);
    char *to_a = a, *to_b = b;
    for (int64_t n = 0; n < examples; ++n) {
      for (int64_t i = first[0]; i < end[0]; ++i) {
        for (int64_t j = first[1]; j < end[1]; ++j) {
          const int64_t y = i * task.strides[0] + shift[0], x = j * task.strides[1] + shift[1];
          const int64_t from = (n * task.large.dims[2] + y) * task.large.dims[3] + x;
          to_a = std::copy_n(large + from * inputs * bytes, inputs * bytes, to_a);
          const int64_t place = (n * task.small.dims[2] + i) * task.small.dims[3] + j;
          to_b = std::copy_n(small + place * outputs * bytes, outputs * bytes, to_b);
        }
      }
    }
    const Product& product = ProductOf(inputs, rows, outputs, task.kernel.type);
    const memory scratchpad(product.scratchpad, Engine(), Space<0>(product.scratchpad.get_size()));
    product.primitive.execute(Stream(), {{DNNL_ARG_SRC, memory(product.a, Engine(), a)},
                                         {DNNL_ARG_WEIGHTS, memory(product.b, Engine(), b)},
                                         {DNNL_ARG_DST, memory(product.sum, Engine(), own)},
                                         {DNNL_ARG_SCRATCHPAD, scratchpad}});
  });
}

void Run(const Task& task, const ffi::AnyBuffer& first, const ffi::AnyBuffer& second, const ffi::AnyBuffer& result,
         ffi::ThreadPool& pool) {
  if (!task.large.dims[0]) {
    std::fill_n(static_cast<char*>(result.untyped_data()), result.size_bytes(), 0);
    return;
  }
  if (IsProducts(task)) return RunProducts(task, At(first, 0), At(second, 0), At(result, 0), pool);
  const int64_t examples = task.large.dims[0], threads = std::max<int64_t>(pool.num_threads(), 1);
  // The gradient of the kernel is summed over the shares, so there are no more of them than threads. Elsewhere smaller
  // shares let a thread that is late have fewer.
  const int64_t shares = std::min(examples, task.kind == kPair ? threads : 2 * threads);
  const auto start = [&](int64_t share) { return examples * share / shares; };
  const auto primitive = [&](int64_t share) -> const Primitive& {
    return PrimitiveOf(task, start(share + 1) - start(share));
  };
  const memory::desc hwio(task.kernel.dims, task.kernel.type, memory::format_tag::hwio);
  OneThread one_thread;

  if (task.kind == kPair) {
    std::vector<memory> sums(shares);
    Share(pool, shares, [&](int64_t i) {
      const Primitive& own = primitive(i);
      sums[i] = memory(own.w, Engine());
      own.Execute({{DNNL_ARG_SRC, memory(own.x, Engine(), At(first, start(i)))},
                   {DNNL_ARG_DIFF_DST, memory(own.y, Engine(), At(second, start(i)))},
                   {DNNL_ARG_DIFF_WEIGHTS, sums[i]}});
    });
    for (int64_t i = 1; i < shares; ++i) {
      if (sums[i].get_desc() != sums[0].get_desc()) {
        memory same(sums[0].get_desc(), Engine());
        Reorder(sums[i], same);
        sums[i] = same;
      }
      auto *total = static_cast<float*>(sums[0].get_data_handle()), *part = static_cast<float*>(sums[i].get_data_handle());
      const int64_t size = sums[0].get_desc().get_size() / sizeof(float);
      for (int64_t j = 0; j < size; ++j) total[j] += part[j];
    }
    Reorder(sums[0], memory(hwio, Engine(), result.untyped_data()));
    return;
  }

  // A kernel in float32 beside maps in bfloat16 is rounded by its reorder.
  const memory given(hwio, Engine(), second.untyped_data());
  std::map<int64_t, memory> kernels;  // by the size of the share, for which oneDNN may choose another layout
  for (int64_t i = 0; i < shares; ++i) {
    memory& kernel = kernels[start(i + 1) - start(i)];
    if (kernel) continue;
    for (auto& [size, other] : kernels) {
      if (other && other.get_desc() == primitive(i).w) kernel = other;
    }
    if (kernel) continue;
    kernel = memory(primitive(i).w, Engine());
    Reorder(given, kernel);
  }
  Share(pool, shares, [&](int64_t i) {
    const Primitive& own = primitive(i);
    const memory& kernel = kernels.at(start(i + 1) - start(i));
    if (task.kind == kGather) {
      own.Execute({{DNNL_ARG_SRC, memory(own.x, Engine(), At(first, start(i)))},
                   {DNNL_ARG_WEIGHTS, kernel},
                   {DNNL_ARG_DST, memory(own.y, Engine(), At(result, start(i)))}});
    } else {
      own.Execute({{DNNL_ARG_DIFF_DST, memory(own.y, Engine(), At(first, start(i)))},
                   {DNNL_ARG_WEIGHTS, kernel},
                   {DNNL_ARG_DIFF_SRC, memory(own.x, Engine(), At(result, start(i)))}});
    }
  });
}

memory::data_type TypeOf(const ffi::AnyBuffer& array) {
  return array.element_type() == ffi::DataType::BF16 ? memory::data_type::bf16 : memory::data_type::f32;
}

Shape MapShape(const ffi::AnyBuffer& array) {  // NHWC
  const auto d = array.dimensions();
  return {{d[0], d[3], d[1], d[2]}, TypeOf(array)};
}

Shape KernelShape(const ffi::AnyBuffer& array) {  // HWIO
  const auto d = array.dimensions();
  return {{d[3], d[2], d[0], d[1]}, TypeOf(array)};
}

ffi::Error Convolve(ffi::ThreadPool pool, ffi::AnyBuffer first, ffi::AnyBuffer second,
                    ffi::Result<ffi::AnyBuffer> result, int64_t kind, Integers strides, Integers before,
                    Integers after) {
  try {
    const auto dims = [](Integers part) { return memory::dims(part.begin(), part.end()); };
    const Task task{static_cast<Kind>(kind),
                    MapShape(kind == kScatter ? *result : first),
                    KernelShape(kind == kPair ? *result : second),
                    MapShape(kind == kGather ? *result : kind == kScatter ? first : second),
                    dims(strides),
                    dims(before),
                    dims(after)};
    Run(task, first, second, *result, pool);
    return ffi::Error::Success();
  } catch (const std::exception& exception) {
    return ffi::Error::Internal(std::string("oneDNN: ") + exception.what());
  }
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(EmoganConvolve, Convolve,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Ret<ffi::AnyBuffer>()
                                  .Attr<int64_t>("kind")
                                  .Attr<Integers>("strides")
                                  .Attr<Integers>("before")
                                  .Attr<Integers>("after"));

// Returns whether this CPU computes all three kinds in bfloat16 (2: on a matrix unit; 1: without; 0: not at all).
extern "C" int EmoganBfloat16() {
  try {
    const Shape large{{1, 16, 8, 8}, memory::data_type::bf16}, small{{1, 32, 4, 4}, memory::data_type::bf16};
    const Shape kernel{{32, 16, 5, 5}, memory::data_type::f32};
    OneThread one_thread;
    for (Kind kind : {kGather, kScatter, kPair}) PrimitiveOf({kind, large, kernel, small, {2, 2}, {1, 1}, {2, 2}}, 1);
    for (auto type : {memory::data_type::f32, memory::data_type::bf16}) ProductOf(128, 9, 128, type);
    const auto has = [](dnnl::cpu_isa isa) {
      return (static_cast<int>(dnnl::get_effective_cpu_isa()) & static_cast<int>(isa)) == static_cast<int>(isa);
    };
    if (!has(dnnl::cpu_isa::avx512_core_bf16)) return 0;  // oneDNN emulates it on other CPUs, slower than float32
    return has(dnnl::cpu_isa::avx512_core_amx) ? 2 : 1;
  } catch (const std::exception&) {
    return 0;
  }
}
