import ServiceLifecycle

/// Waits until the service is to stop, whichever way it is told.
package func withGracefulShutdownOrCancellation() async {
    let (stream, continuation) = AsyncStream<Void>.makeStream()
    await withTaskCancellationOrGracefulShutdownHandler {
        for await _ in stream {}
    } onCancelOrGracefulShutdown: {
        continuation.finish()
    }
}
