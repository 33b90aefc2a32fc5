import ServiceLifecycle

/// Waits until the service is to stop, by a graceful shutdown or by cancellation.
package func withGracefulShutdownOrCancellation() async {
    let (stream, continuation) = AsyncStream<Void>.makeStream()
    await withTaskCancellationOrGracefulShutdownHandler {
        for await _ in stream {}
    } onCancelOrGracefulShutdown: {
        continuation.finish()
    }
}
