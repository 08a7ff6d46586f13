// The floor of the same calls: makes the system calls that `nucleus run` made, in the order of each of its threads and
// with the same arguments, and nothing else. It is a measure, not a sandbox. What a C library does at the start of a
// program is its own; after that it is not used, so that threads need nothing of it.
//
// sandbox_same_calls TAPE, which record.py writes: a head, calls one after the other for each thread, and bytes that
// they read. Descriptors and processes have numbers of the tape's and get their own when they are made. A call that
// fails where it did not, or does not fail as it did, ends it with 125, unless it is loose; so does a workload that
// ends otherwise. What a call that succeeds answers is not compared. At such an end the workload is killed and the
// files and directories are taken away that the run took away: the next one finds what the recorded one found.
// Little-endian, as written by that machine.
#include <asm/signal.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>

namespace {

using Word = std::uint64_t;

enum Kind : std::uint8_t { kValue, kDescriptor, kData, kScratch, kText, kPatched };
constexpr std::uint16_t kJoin = 0xffff, kSay = 0xfffe, kAwait = 0xfffd, kApart = 0xfffc;
enum Fix : std::uint16_t { kToDescriptor, kToData, kToScratch, kToHandler, kToWideDescriptor = 8 };
enum Result : std::uint8_t { kNothing, kNew, kPair, kThread, kProcess, kWaited, kOwn };

struct Head {
  std::uint32_t streams, calls, descriptors, data;
};
struct Call {
  Word args[6];
  std::uint16_t number;
  std::uint16_t error;   // what it failed with
  std::uint16_t out;     // the descriptor that it makes, or the status of who is waited for
  std::uint16_t stream;  // of the thread or process that it makes or waits for, or the code of who is waited for
  std::uint8_t kinds[6];
  std::uint8_t result;
  std::uint8_t loose;  // the answer depends on how far the workload is
};
struct Memory {
  std::uint32_t size, scratch, fixes, pad;
};
struct Patch {
  std::uint32_t where;
  std::uint16_t kind, descriptor;
  Word value;
};

constexpr int kStreams = 16, kDescriptors = 4096, kWords = 64;
constexpr int kScratchSize = 40960 + 4096, kStackSize = 16384;

const char* tape = nullptr;
const std::uint32_t* first = nullptr;  // call of each stream
const Call* calls = nullptr;
const char* data = nullptr;
int descriptors[kDescriptors];  // one more than the descriptor; 0: not made yet, -1: could not be
int processes[kStreams], threads[kStreams];
int ends[kStreams];  // the kernel clears it when the thread is gone
int said[kWords];    // what threads wait for
Word own = 0;        // the first process
int failed[2];       // in the first process; in the one that it made
alignas(64) char scratch[kStreams][kScratchSize];
alignas(64) char stacks[kStreams][kStackSize];

long System(long number, Word a = 0, Word b = 0, Word c = 0, Word d = 0, Word e = 0, Word f = 0) {
  long result = number;
  register Word r10 asm("r10") = d;
  register Word r8 asm("r8") = e;
  register Word r9 asm("r9") = f;
  asm volatile("syscall" : "+a"(result) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return result;
}
Word At(const void* address) {
  return reinterpret_cast<Word>(address);
}
char* Digits(char* at, unsigned number) {
  char digits[12];
  int count = 0;
  do digits[count++] = static_cast<char>('0' + number % 10);
  while ((number /= 10) != 0);
  while (count > 0) *at++ = digits[--count];
  return at;
}

void Tell(const Call& call, long result) {
  char line[96], *at = line;
  for (const char* word = "same_calls: call "; *word != '\0';) *at++ = *word++;
  at = Digits(at, static_cast<unsigned>(&call - calls));
  for (const char* word = ", system call "; *word != '\0';) *at++ = *word++;
  at = Digits(at, call.number);
  for (const char* word = ": errno "; *word != '\0';) *at++ = *word++;
  at = Digits(at, static_cast<unsigned>(result < 0 ? -result : 0));
  for (const char* word = " in the place of "; *word != '\0';) *at++ = *word++;
  at = Digits(at, call.error);
  *at++ = '\n';
  System(SYS_write, 2, At(line), static_cast<Word>(at - line));
}

// Kills the processes that were made, and waits until they are gone.
void EndProcesses() {
  constexpr Word kKill = 9, kPid = 1, kExited = 4, kAll = 0x40000000;  // SIGKILL, P_PID, WEXITED, __WALL
  for (int i = 1; i < kStreams; ++i)
    if (processes[i] > 0) {
      System(SYS_kill, static_cast<Word>(processes[i]), kKill);
      System(SYS_waitid, kPid, static_cast<Word>(processes[i]), 0, kExited | kAll);
    }
}

// What the first thread takes away at its end, and files that have not got their last name yet.
void TakeAway() {
  for (const Call* call = calls; call != calls + first[1]; ++call) {
    const bool named = call->number == SYS_rename || call->number == SYS_unlink || call->number == SYS_rmdir;
    if (named && call->kinds[0] == kData)
      System(call->number == SYS_rmdir ? SYS_rmdir : SYS_unlink, At(data + call->args[0]));
  }
}

// The first thread to fail ends all; another one waits for that.
[[noreturn]] void End(const Call& call, long result) {
  const bool launched = static_cast<Word>(System(SYS_getpid)) != own;
  while (__atomic_exchange_n(&failed[launched], 1, __ATOMIC_ACQ_REL) != 0)
    System(launched ? SYS_exit_group : SYS_sched_yield, 125);
  Tell(call, result);
  if (!launched) {
    EndProcesses();
    TakeAway();
  }
  for (;;) System(SYS_exit_group, 125);
}

// One that another thread makes may not be there yet.
int Descriptor(std::uint32_t number) {
  int found = 0;
  while ((found = __atomic_load_n(&descriptors[number], __ATOMIC_ACQUIRE)) == 0) System(SYS_sched_yield);
  return found - 1;
}
void Keep(std::uint32_t number, int descriptor) {
  __atomic_store_n(&descriptors[number], descriptor < 0 ? -1 : descriptor + 1, __ATOMIC_RELEASE);
}

std::uint32_t Number(const char* at) {
  return static_cast<std::uint8_t>(at[0]) | static_cast<std::uint32_t>(static_cast<std::uint8_t>(at[1])) << 8;
}

// Where the text goes to, and the text; \1 and a letter stand before the number of a process or descriptor.
Word Text(const char* from, char* room) {
  char* const text = room + *reinterpret_cast<const std::uint32_t*>(from);
  char* to = text;
  for (from += sizeof(std::uint32_t);; ++from) {
    if (*from != '\1') {
      *to++ = *from;
      if (*from == '\0') return At(text);
      continue;
    }
    const std::uint32_t number = Number(from + 2);
    to = Digits(to, static_cast<unsigned>(from[1] == 'P' ? processes[number] : Descriptor(number)));
    from += 3;
  }
}

extern "C" void Restore();
asm(".text\nRestore: mov $15, %eax\nsyscall\n");  // rt_sigreturn(2)
void Handle(int) {}

Word Patched(const char* from, char* room) {
  const auto& head = *reinterpret_cast<const Memory*>(from);
  const auto* patch = reinterpret_cast<const Patch*>(from + sizeof head);
  const char* bytes = reinterpret_cast<const char*>(patch + head.fixes);
  char* const to = room + head.scratch;
  for (std::uint32_t i = 0; i < head.size; ++i) to[i] = bytes[i];
  for (; patch != reinterpret_cast<const Patch*>(bytes); ++patch) {
    char* const where = to + patch->where;
    auto& wide = *reinterpret_cast<Word*>(where);
    switch (patch->kind) {
      case kToDescriptor:
        *reinterpret_cast<int*>(where) = Descriptor(patch->descriptor);
        break;
      case kToWideDescriptor:
        wide = static_cast<Word>(Descriptor(patch->descriptor));
        break;
      case kToData:
        wide = At(data + patch->value);
        break;
      case kToScratch:
        wide = At(room + patch->value);
        break;
      case kToHandler:
        wide = At(reinterpret_cast<const void*>(&Handle));
        reinterpret_cast<Word*>(where)[2] = At(reinterpret_cast<const void*>(&Restore));
        break;
      default:
        break;
    }
  }
  return At(to);
}

Word Argument(const Call& call, int i, char* room) {
  const Word word = call.args[i];
  switch (call.kinds[i]) {
    case kDescriptor:
      return static_cast<Word>(Descriptor(static_cast<std::uint32_t>(word)));
    case kData:
      return At(data + word);
    case kScratch:
      return At(room + word);
    case kText:
      return Text(data + word, room);
    case kPatched:
      return Patched(data + word, room);
    default:
      return word;
  }
}

[[noreturn, gnu::used]] void Play(std::uint32_t stream);

// Who shares memory has a stack of its own.
long MakeBeside(clone_args& args, std::uint32_t stream) {
  args.flags &= ~Word{CLONE_SETTLS};
  args.tls = 0;
  args.stack = At(stacks[stream]);
  args.stack_size = kStackSize;
  long result = SYS_clone3;
  register Word thread asm("r12") = stream;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "mov %%r12, %%rdi\n\t"
      "xor %%ebp, %%ebp\n\t"
      "call *%[play]\n\t"
      "1:"
      : "+a"(result)
      : "D"(&args), "S"(sizeof args), "r"(thread), [play] "r"(&Play)
      : "rcx", "r11", "memory");
  return result;
}

// A thread has the same share in its process, and its end is told as a C library asks for it.
long MakeThread(const Call& call) {
  ends[call.stream] = 1;
  clone_args args{};
  args.flags = call.args[0];
  args.child_tid = args.parent_tid = At(&ends[call.stream]);
  const long thread = MakeBeside(args, call.stream);
  threads[call.stream] = static_cast<int>(thread);
  return thread;
}

long Make(const Call& call, const Word* args) {
  if (call.result == kThread) return MakeThread(call);
  if (call.result == kProcess) {
    auto& given = *reinterpret_cast<clone_args*>(args[0]);  // NOLINT(performance-no-int-to-ptr)
    if ((given.flags & CLONE_VM) != 0) return MakeBeside(given, call.stream);
  }
  return System(call.number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

constexpr Word kWait = 0, kWake = 1;  // of futex(2)

void Say(std::uint32_t word) {
  __atomic_store_n(&said[word], 1, __ATOMIC_RELEASE);
  System(SYS_futex, At(&said[word]), kWake, 1 << 16);
}
void Await(std::uint32_t word) {
  do System(SYS_futex, At(&said[word]), kWait, 0);
  while (__atomic_load_n(&said[word], __ATOMIC_ACQUIRE) == 0);
}

// On another processor than ours.
void KeepApart(std::uint32_t stream) {
  Word processors[128];
  unsigned at = 0;
  const long size = System(SYS_sched_getaffinity, 0, sizeof processors, At(processors));
  if (size <= 0 || System(SYS_getcpu, At(&at)) != 0) return;
  processors[at / 64] &= ~(Word{1} << at % 64);
  System(SYS_sched_setaffinity, static_cast<Word>(threads[stream]), static_cast<Word>(size), At(processors));
}

void Join(std::uint32_t stream) {
  while (const int left = __atomic_load_n(&ends[stream], __ATOMIC_ACQUIRE))
    System(SYS_futex, At(&ends[stream]), kWait, static_cast<Word>(left));
}

// What a call has made.
void Take(const Call& call, long result, const char* room) {
  switch (call.result) {
    case kNew:
      Keep(call.out, static_cast<int>(result));
      break;  // also an error: nothing waits for it then
    case kPair:
      for (std::uint32_t i = 0; i < 2; ++i) Keep(call.out + i, reinterpret_cast<const int*>(room + call.args[3])[i]);
      break;
    case kProcess:
      processes[call.stream] = static_cast<int>(result);
      if (call.out != 0) Keep(call.out, *reinterpret_cast<const int*>(room + call.args[2]));
      break;
    case kOwn:
      processes[0] = static_cast<int>(result);
      break;
    case kWaited: {  // si_code and si_status of siginfo_t
      const int* told = reinterpret_cast<const int*>(room + call.args[2]);
      if (told[2] != call.stream || told[6] != call.out) End(call, 0);
      break;
    }
    default:
      break;
  }
}

void Play(std::uint32_t stream) {
  char* const room = scratch[stream];
  for (const Call* call = calls + first[stream]; call != calls + first[stream + 1]; ++call) {
    if (call->number == kJoin) {
      Join(call->stream);
      continue;
    }
    if (call->number == kApart) {
      KeepApart(call->stream);
      continue;
    }
    if (call->number == kSay || call->number == kAwait) {
      call->number == kSay ? Say(call->out) : Await(call->out);
      continue;
    }
    if ((__atomic_load_n(&failed[0], __ATOMIC_RELAXED) | __atomic_load_n(&failed[1], __ATOMIC_RELAXED)) != 0)
      End(*call, 0);
    Word args[6];
    for (int i = 0; i < 6; ++i) args[i] = Argument(*call, i, room);
    const long result = Make(*call, args);
    const bool differs = (result < 0 ? static_cast<std::uint16_t>(-result) : 0) != call->error;
    if (differs && call->loose == 0) End(*call, result);
    if (call->result == kProcess && result == 0) Play(call->stream);
    Take(*call, result, room);
  }
  for (;;) System(SYS_exit_group, 125);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  const long file = System(SYS_open, At(argv[1]), O_RDONLY | O_CLOEXEC);
  const long size = System(SYS_lseek, static_cast<Word>(file), 0, 2);
  const long mapped =
      System(SYS_mmap, 0, static_cast<Word>(size), PROT_READ, MAP_PRIVATE | MAP_POPULATE, static_cast<Word>(file), 0);
  if (mapped < 0) return 66;
  System(SYS_close, static_cast<Word>(file));
  tape = reinterpret_cast<const char*>(mapped);  // NOLINT(performance-no-int-to-ptr)
  const auto& head = *reinterpret_cast<const Head*>(tape);
  if (head.streams > kStreams || head.descriptors > kDescriptors) return 65;
  first = reinterpret_cast<const std::uint32_t*>(tape + sizeof head);
  const std::size_t before = sizeof head + (head.streams + 1) * sizeof *first;
  calls = reinterpret_cast<const Call*>(tape + ((before + 63) & ~std::size_t{63}));
  data = reinterpret_cast<const char*>(calls + head.calls);
  for (int i = 0; i < 3; ++i) Keep(static_cast<std::uint32_t>(i), i);
  own = static_cast<Word>(System(SYS_getpid));
  Play(0);
}
