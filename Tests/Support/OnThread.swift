import Foundation

/// Runs blocking work on its own thread, because tasks share few threads.
public func onThread<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread {
            continuation.resume(with: Result { try work() })
        }
    }
}

/// Runs `work` for each number below `count`, on at most `width` threads.
public func onThreads(_ count: Int, width: Int, _ work: @escaping @Sendable (_ index: Int) throws -> Void) async throws
{
    try await withThrowingTaskGroup(of: Void.self) { lanes in
        for lane in 0..<min(width, count) {
            lanes.addTask {
                try await onThread {
                    for index in stride(from: lane, to: count, by: width) { try work(index) }
                }
            }
        }
        try await lanes.waitForAll()
    }
}
