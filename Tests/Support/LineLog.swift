import Foundation
import Synchronization

/// Collects the lines of one output of a running process.
public final class LineLog: Sendable {
    private struct State {
        var lines: [String] = []
        var partial: [UInt8] = []
        var isComplete = false
    }

    private let state = Mutex(State())

    /// Reads `handle` on a separate thread until its end.
    init(reading handle: FileHandle) {
        let descriptor = handle.fileDescriptor
        Thread.detachNewThread { [self] in
            var buffer = [UInt8](repeating: 0, count: 16_384)
            while true {
                let count = read(descriptor, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { break }
                append(buffer[..<count])
            }
            state.withLock { state in
                if !state.partial.isEmpty { state.lines.append(String(decoding: state.partial, as: UTF8.self)) }
                state.partial = []
                state.isComplete = true
            }
            withExtendedLifetime(handle) {}
        }
    }

    private func append(_ bytes: ArraySlice<UInt8>) {
        state.withLock { state in
            var rest = bytes
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                state.lines.append(String(decoding: state.partial + rest[..<end], as: UTF8.self))
                state.partial = []
                rest = rest[rest.index(after: end)...]
            }
            state.partial += rest
        }
    }

    /// The complete lines so far.
    public var lines: [String] { state.withLock { $0.lines } }

    /// The whole output as one text.
    public var text: String {
        state.withLock { state in
            (state.lines + (state.partial.isEmpty ? [] : [String(decoding: state.partial, as: UTF8.self)]))
                .joined(separator: "\n")
        }
    }

    /// Whether the process and all its children have closed the descriptor.
    public var isComplete: Bool { state.withLock { $0.isComplete } }
}
