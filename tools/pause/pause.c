/*
 * pause is the first process of every Pod sandbox. It holds the Pod's
 * namespaces open, reaps whatever the Pod's containers orphan when they share
 * a PID namespace with it, and leaves at once on SIGTERM or SIGINT.
 *
 * It is built without a C library, so that one copy of it costs a few pages.
 * All signals it cares for stay blocked and are taken with rt_sigtimedwait:
 * the kernel drops a signal that process 1 of a PID namespace has no handler
 * for, but never one that is blocked.
 */
#include <asm/signal.h>
#include <asm/unistd.h>

#if defined(__x86_64__)
static long syscall4(long number, long a, long b, long c, long d)
{
	long result;
	register long r10 __asm__("r10") = d;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return result;
}
#elif defined(__aarch64__)
static long syscall4(long number, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3)
			 : "memory");
	return x0;
}
#else
#error "pause: add this architecture's system call instruction"
#endif

#define BIT(signal) (1UL << ((signal) - 1))
#define NOHANG 1 /* WNOHANG */

static void reap(void)
{
	while (syscall4(__NR_wait4, -1, 0, NOHANG, 0) > 0)
		;
}

void _start(void)
{
	unsigned long signals = BIT(SIGCHLD) | BIT(SIGTERM) | BIT(SIGINT);

	syscall4(__NR_rt_sigprocmask, SIG_BLOCK, (long)&signals, 0, sizeof(signals));
	for (;;) {
		reap();
		long signal = syscall4(__NR_rt_sigtimedwait, (long)&signals, 0, 0, sizeof(signals));
		if (signal == SIGTERM || signal == SIGINT)
			syscall4(__NR_exit_group, 0, 0, 0, 0);
	}
}
