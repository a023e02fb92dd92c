#include <signal.h>
#include <sys/prctl.h>

#include <cerrno>

#include "arguments.h"
#include "exports.h"

namespace {

// SIGTERM when the thread that made this process ends (prctl(2), PR_SET_PDEATHSIG). One that has ended before is not
// noticed.
Napi::Value end_with_parent(const Napi::CallbackInfo& info) {
  return number(info.Env(), ::prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 ? -errno : 0);
}

}  // namespace

void export_process(Napi::Object exports) { export_function<end_with_parent>(exports, "end_with_parent"); }
