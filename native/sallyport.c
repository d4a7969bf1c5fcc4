/*
 * The little that Node cannot do: datagram sockets with any option, ancillary data and batched system calls.
 * One kind of object, an endpoint, serves UDP, AF_NETLINK and AF_UNIX datagrams. Addresses and control messages stay
 * raw bytes here; src/net/ and src/kernel/netlink/ know what they mean.
 *
 * No libuv headers and no libc at link time: libuv's functions are declared by hand and every symbol is found in the
 * process that loads the file, so one binary per CPU serves glibc and musl.
 *
 * Functions return a count or 0, or -errno; only an argument of the wrong type throws, since that is our own mistake.
 * No pointer into JavaScript's memory outlives a call, and every index is checked against the arrays given with it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <node_api.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct uv_poll uv_poll;
size_t uv_handle_size(int type);
int uv_poll_init(struct uv_loop_s *, uv_poll *, int fd);
int uv_poll_start(uv_poll *, int events, void (*)(uv_poll *, int status, int events));
int uv_poll_stop(uv_poll *);
void uv_handle_set_data(uv_poll *, void *);
void *uv_handle_get_data(const uv_poll *);
void uv_close(uv_poll *, void (*)(uv_poll *));
enum { UV_POLL = 8, UV_READABLE = 1 };

/*
 * What goes with each datagram, one record per slot; src/net/datagram-socket.ts has the same offsets.
 * `length` is the size of the datagram: on receive it may exceed the slot, then MSG_TRUNC is in `flags`.
 */
enum { MAX_SLOTS = 64, ADDRESS_ROOM = 112, CONTROL_ROOM = 128 };
struct record {
  uint32_t length, flags;
  uint16_t address_length, control_length;
  uint32_t unused;
  uint8_t address[ADDRESS_ROOM], control[CONTROL_ROOM];
};
_Static_assert(sizeof(struct record) == 256, "the record is part of the interface");

struct endpoint {
  napi_env env;
  int fd;                              /* -1 when closed, so that every system call answers EBADF */
  int closing_fd;                      /* the descriptor between our close and libuv's */
  uv_poll *poll;                       /* while it is watched, and until libuv has closed it */
  napi_ref callback;
  napi_async_cleanup_hook_handle hook; /* keeps a dying environment alive until the handle is closed */
  int collected;                       /* JavaScript has dropped the object */
};

static const napi_type_tag tag = {0x5a11790274d04e1cULL, 0x9e3b6b1f0c8a42d7ULL};

/* ---- arguments and results ---- */

static napi_value number(napi_env env, int64_t value) {
  napi_value result = NULL;
  napi_create_int64(env, value, &result);
  return result;
}

static napi_value outcome(napi_env env, int64_t result) { return number(env, result < 0 ? -errno : result); }

static int refuse(napi_env env, const char *what) {
  napi_throw_type_error(env, NULL, what);
  return 0;
}

static int arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *argv) {
  size_t argc = wanted;
  return (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) == napi_ok && argc >= wanted) ||
         refuse(env, "too few arguments");
}

/* Takes the arguments, the first of which is an endpoint. NULL when an exception is pending. */
static struct endpoint *endpoint_of(napi_env env, napi_callback_info info, size_t wanted, napi_value *argv) {
  bool ours = false;
  void *found = NULL;
  if (!arguments(env, info, wanted, argv)) return NULL;
  if (napi_check_object_type_tag(env, argv[0], &tag, &ours) != napi_ok || !ours ||
      napi_unwrap(env, argv[0], &found) != napi_ok)
    refuse(env, "not an endpoint");
  return found;
}

static int integer_of(napi_env env, napi_value value, int32_t *result) {
  return napi_get_value_int32(env, value, result) == napi_ok || refuse(env, "not a number");
}

/* A Uint8Array; its memory stays where it is until JavaScript runs again. A detached one has length 0. */
static int bytes_of(napi_env env, napi_value value, uint8_t **data, size_t *length) {
  napi_typedarray_type type;
  return (napi_get_typedarray_info(env, value, &type, length, (void **)data, NULL, NULL) == napi_ok &&
          type == napi_uint8_array) || refuse(env, "not a Uint8Array");
}

/* ---- life of an endpoint ---- */

static void free_if_done(struct endpoint *e) {
  if (e->collected && !e->poll) free(e);
}

static void on_closed(uv_poll *poll) {
  struct endpoint *e = uv_handle_get_data(poll);
  napi_async_cleanup_hook_handle hook = e->hook;
  close(e->closing_fd);
  free(poll);
  e->poll = NULL;
  free_if_done(e);
  if (hook) napi_remove_async_cleanup_hook(hook);
}

static void shut(struct endpoint *e) {
  if (e->fd < 0) return;
  e->closing_fd = e->fd;
  e->fd = -1;
  if (e->poll) { /* libuv must let go of the descriptor first */
    napi_delete_reference(e->env, e->callback);
    uv_poll_stop(e->poll);
    uv_close(e->poll, on_closed);
  } else {
    close(e->closing_fd);
  }
}

static void on_environment_exit(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  shut(data);
}

static void on_collected(napi_env env, void *data, void *hint) {
  struct endpoint *e = data;
  (void)env, (void)hint;
  e->collected = 1;
  shut(e);
  free_if_done(e);
}

/* socket(domain, type, protocol): endpoint | -errno. Always non-blocking and close-on-exec. */
static napi_value open_socket(napi_env env, napi_callback_info info) {
  napi_value argv[3], object;
  int32_t domain, type, protocol;
  if (!arguments(env, info, 3, argv) || !integer_of(env, argv[0], &domain) || !integer_of(env, argv[1], &type) ||
      !integer_of(env, argv[2], &protocol))
    return NULL;
  int fd = socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  if (fd < 0) return number(env, -errno);
  struct endpoint *e = calloc(1, sizeof *e);
  if (!e || napi_create_object(env, &object) != napi_ok || napi_type_tag_object(env, object, &tag) != napi_ok ||
      napi_wrap(env, object, e, on_collected, NULL, NULL) != napi_ok) {
    close(fd);
    free(e);
    return number(env, -ENOMEM);
  }
  e->env = env;
  e->fd = fd;
  return object;
}

static napi_value close_endpoint(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  struct endpoint *e = endpoint_of(env, info, 1, argv);
  return e ? shut(e), number(env, 0) : NULL;
}

/* ---- waiting ---- */

static void on_ready(uv_poll *poll, int status, int events) {
  struct endpoint *e = uv_handle_get_data(poll);
  napi_env env = e->env;
  napi_handle_scope scope;
  napi_value callback, global, argument, result;
  bool pending = false;

  if (status < 0) {
    /* libuv stops at POLLERR. Fetch and clear the error (ENOBUFS of a netlink socket) and go on watching. */
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(e->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    events = -error;
    uv_poll_start(poll, UV_READABLE, on_ready);
  }
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  if (napi_get_reference_value(env, e->callback, &callback) == napi_ok && napi_get_global(env, &global) == napi_ok &&
      napi_create_int32(env, events, &argument) == napi_ok)
    napi_make_callback(env, NULL, global, callback, 1, &argument, &result);
  if (napi_is_exception_pending(env, &pending) == napi_ok && pending &&
      napi_get_and_clear_last_exception(env, &result) == napi_ok)
    napi_fatal_exception(env, result);
  napi_close_handle_scope(env, scope);
}

/* watch(endpoint, callback): callback(1) while readable, callback(-errno) for an error of the socket. Once only. */
static napi_value watch(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  napi_valuetype type;
  struct uv_loop_s *loop;
  struct endpoint *e = endpoint_of(env, info, 2, argv);
  if (!e) return NULL;
  if (napi_typeof(env, argv[1], &type) != napi_ok || type != napi_function) return refuse(env, "not a function"), NULL;
  if (e->fd < 0 || e->poll) return number(env, e->fd < 0 ? -EBADF : -EALREADY);
  uv_poll *poll = calloc(1, uv_handle_size(UV_POLL));
  if (!poll || napi_get_uv_event_loop(env, &loop) != napi_ok ||
      napi_create_reference(env, argv[1], 1, &e->callback) != napi_ok) {
    free(poll);
    return number(env, -ENOMEM);
  }
  int failed = uv_poll_init(loop, poll, e->fd); /* libuv's errors are -errno too */
  if (failed) {
    napi_delete_reference(env, e->callback);
    free(poll);
    return number(env, failed);
  }
  e->poll = poll;
  uv_handle_set_data(poll, e);
  napi_add_async_cleanup_hook(env, on_environment_exit, e, &e->hook);
  return number(env, uv_poll_start(poll, UV_READABLE, on_ready));
}

/* ---- addresses and options: bytes as the kernel has them ---- */

enum call { BIND, CONNECT, GETSOCKNAME };
static napi_value address(napi_env env, napi_callback_info info, enum call call) {
  napi_value argv[2];
  uint8_t *bytes;
  size_t size;
  struct endpoint *e = endpoint_of(env, info, 2, argv);
  if (!e || !bytes_of(env, argv[1], &bytes, &size)) return NULL;
  if (size > ADDRESS_ROOM) return number(env, -EINVAL);
  socklen_t length = (socklen_t)size;
  struct sockaddr *name = (struct sockaddr *)bytes;
  if (call == GETSOCKNAME) return outcome(env, getsockname(e->fd, name, &length) < 0 ? -1 : (int64_t)length);
  return outcome(env, (call == BIND ? bind : connect)(e->fd, name, length));
}

static napi_value option(napi_env env, napi_callback_info info, int set) {
  napi_value argv[4];
  int32_t level, name;
  uint8_t *value;
  size_t size;
  struct endpoint *e = endpoint_of(env, info, 4, argv);
  if (!e || !integer_of(env, argv[1], &level) || !integer_of(env, argv[2], &name) ||
      !bytes_of(env, argv[3], &value, &size))
    return NULL;
  if (size > 65536) return number(env, -EINVAL);
  socklen_t length = (socklen_t)size;
  if (set) return outcome(env, setsockopt(e->fd, level, name, value, length));
  return outcome(env, getsockopt(e->fd, level, name, value, &length) < 0 ? -1 : (int64_t)length);
}

static napi_value bind_to(napi_env env, napi_callback_info info) { return address(env, info, BIND); }
static napi_value connect_to(napi_env env, napi_callback_info info) { return address(env, info, CONNECT); }
static napi_value name_of(napi_env env, napi_callback_info info) { return address(env, info, GETSOCKNAME); }
static napi_value set_option(napi_env env, napi_callback_info info) { return option(env, info, 1); }
static napi_value get_option(napi_env env, napi_callback_info info) { return option(env, info, 0); }

/* ---- datagrams ---- */

/*
 * receive(endpoint, slab, records): number of datagrams taken, 0 when there is none.
 * send(endpoint, slab, records, from, count): number of datagrams sent, from slot `from` on.
 * The slab is cut into as many equal slots as there are records.
 */
static napi_value transfer(napi_env env, napi_callback_info info, int sending) {
  napi_value argv[5];
  uint8_t *slab, *meta;
  size_t slab_size, meta_size;
  int32_t from = 0, count = 0;
  struct endpoint *e = endpoint_of(env, info, sending ? 5 : 3, argv);
  if (!e || !bytes_of(env, argv[1], &slab, &slab_size) || !bytes_of(env, argv[2], &meta, &meta_size) ||
      (sending && (!integer_of(env, argv[3], &from) || !integer_of(env, argv[4], &count))))
    return NULL;
  size_t slots = meta_size / sizeof(struct record);
  if (slots == 0 || slots > MAX_SLOTS || slab_size < slots || (uintptr_t)meta % sizeof(uint64_t) || from < 0 ||
      count < 0 || (size_t)from + (size_t)count > slots)
    return number(env, -EINVAL);
  size_t slot_size = slab_size / slots, n = sending ? (size_t)count : slots;
  struct record *records = (struct record *)meta + from;
  if (n == 0) return number(env, 0);

  struct mmsghdr messages[MAX_SLOTS];
  struct iovec vectors[MAX_SLOTS];
  memset(messages, 0, n * sizeof messages[0]);
  for (size_t i = 0; i < n; i++) {
    struct record *r = &records[i];
    struct msghdr *m = &messages[i].msg_hdr;
    if (sending && (r->length > slot_size || r->address_length > ADDRESS_ROOM || r->control_length > CONTROL_ROOM))
      return number(env, -EINVAL);
    vectors[i] = (struct iovec){slab + ((size_t)from + i) * slot_size, sending ? r->length : slot_size};
    m->msg_iov = &vectors[i];
    m->msg_iovlen = 1;
    m->msg_namelen = sending ? r->address_length : ADDRESS_ROOM;
    m->msg_name = m->msg_namelen ? r->address : NULL;
    m->msg_controllen = sending ? r->control_length : CONTROL_ROOM;
    m->msg_control = m->msg_controllen ? r->control : NULL;
  }
  if (sending) return outcome(env, sendmmsg(e->fd, messages, (unsigned)n, MSG_DONTWAIT | MSG_NOSIGNAL));

  int got = recvmmsg(e->fd, messages, (unsigned)n, MSG_DONTWAIT | MSG_TRUNC, NULL);
  if (got < 0) return number(env, errno == EAGAIN || errno == EINTR ? 0 : -errno);
  for (int i = 0; i < got; i++) {
    const struct msghdr *m = &messages[i].msg_hdr;
    records[i].length = messages[i].msg_len;
    records[i].flags = (uint32_t)m->msg_flags;
    records[i].address_length = (uint16_t)(m->msg_namelen > ADDRESS_ROOM ? ADDRESS_ROOM : m->msg_namelen);
    records[i].control_length = (uint16_t)m->msg_controllen;
  }
  return number(env, got);
}

static napi_value receive(napi_env env, napi_callback_info info) { return transfer(env, info, 0); }
static napi_value send_slots(napi_env env, napi_callback_info info) { return transfer(env, info, 1); }

NAPI_MODULE_INIT() {
  static const struct { const char *name; napi_callback call; } functions[] = {
    {"socket", open_socket}, {"close", close_endpoint}, {"bind", bind_to}, {"connect", connect_to},
    {"getsockname", name_of}, {"setsockopt", set_option}, {"getsockopt", get_option}, {"watch", watch},
    {"receive", receive}, {"send", send_slots},
  };
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    napi_value f;
    if (napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL, &f) != napi_ok ||
        napi_set_named_property(env, exports, functions[i].name, f) != napi_ok)
      return NULL;
  }
  return exports;
}
