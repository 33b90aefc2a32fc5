import Foundation

/// The executable under test.
public enum CulvertExecutable {
    /// The path in `CULVERT_BIN`, or that of the executable built with the tests.
    public static func path() throws -> String {
        if let named = ProcessInfo.processInfo.environment["CULVERT_BIN"], !named.isEmpty { return named }
        let places = ["/proc/self/exe", CommandLine.arguments[0]].map {
            URL(fileURLWithPath: $0).resolvingSymlinksInPath()
        }
        let bundles = Bundle.allBundles.map(\.bundleURL).filter { $0.pathExtension == "xctest" }
        for place in places + bundles {
            let beside = place.deletingLastPathComponent().appendingPathComponent("culvert").path
            if FileManager.default.isExecutableFile(atPath: beside) { return beside }
        }
        throw ScenarioFailure(description: "no culvert beside \(places[0].path): build it, or set CULVERT_BIN")
    }
}
