import Foundation
import Testing

@testable import culvert

/// The changes of a file that a watch reports.
@Suite("Watched files")
struct FileWatchTests {
    /// A folder, and a watch over paths in it that reports each change.
    private final class WatchedFolder: Sendable {
        let folder: String
        let changes: AsyncStream<Void>
        private let checks: AsyncStream<Void>
        private let task: Task<Void, Never>

        init(_ names: [String], prepare: (String) throws -> Void) throws {
            let folder = NSTemporaryDirectory() + "culvert-\(UUID().uuidString)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try prepare(folder)
            let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
            let (checks, check) = AsyncStream.makeStream(of: Void.self)
            self.folder = folder
            changes = stream
            self.checks = checks
            let paths = names.map { "\(folder)/\($0)" }
            task = Task {
                let watch = FileWatch(period: .milliseconds(5)) {
                    check.yield()
                    return paths
                }
                await watch.run { continuation.yield() }
            }
        }

        deinit {
            task.cancel()
            try? FileManager.default.removeItem(atPath: folder)
        }

        /// Waits for the second check, which begins after the first one has recorded the files.
        func hasChecked() async {
            var iterator = checks.makeAsyncIterator()
            for _ in 0..<2 { _ = await iterator.next() }
        }

        func changed() async -> Bool {
            for await _ in changes { return true }
            return false
        }
    }

    private static func write(_ text: String, _ path: String) throws {
        try text.write(toFile: path, atomically: false, encoding: .utf8)
    }

    @Test(
        "a link that moves in the middle of the path is a change, as when Kubernetes renews certificates",
        .timeLimit(.minutes(1))
    )
    func kubernetes() async throws {
        let manager = FileManager.default
        let watched = try WatchedFolder(["tls.crt"]) { folder in
            for version in ["..1", "..2"] {
                try manager.createDirectory(atPath: "\(folder)/\(version)", withIntermediateDirectories: true)
                try Self.write("same", "\(folder)/\(version)/tls.crt")
            }
            // Both files have the same time and length, and only their inodes differ.
            for version in ["..1", "..2"] {
                try manager.setAttributes(
                    [.modificationDate: Date(timeIntervalSince1970: 1)],
                    ofItemAtPath: "\(folder)/\(version)/tls.crt"
                )
            }
            try manager.createSymbolicLink(atPath: "\(folder)/..data", withDestinationPath: "..1")
            try manager.createSymbolicLink(atPath: "\(folder)/tls.crt", withDestinationPath: "..data/tls.crt")
        }
        await watched.hasChecked()
        try manager.createSymbolicLink(atPath: "\(watched.folder)/..data_tmp", withDestinationPath: "..2")
        #expect(rename("\(watched.folder)/..data_tmp", "\(watched.folder)/..data") == 0)
        #expect(await watched.changed())
    }

    @Test("new contents of a file behind a link are a change", .timeLimit(.minutes(1)))
    func contents() async throws {
        let watched = try WatchedFolder(["link"]) { folder in
            try Self.write("one", "\(folder)/file")
            try FileManager.default.createSymbolicLink(atPath: "\(folder)/link", withDestinationPath: "file")
        }
        await watched.hasChecked()
        try Self.write("longer", "\(watched.folder)/file")
        #expect(await watched.changed())
    }
}
